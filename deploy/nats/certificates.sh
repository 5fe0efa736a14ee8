#!/bin/sh
# Makes an authority of your own, and with it a server's and a client's certificate, in the directory you are in. Needs
# openssl.
#
#   certificates.sh SERVER_NAME
#
# SERVER_NAME is how clients call the server in --nats-url. The files: ca.pem (everybody gets it), ca.key (makes new
# certificates: put it away), server.pem and server.key, client.pem and client.key (for `verify: true`).
set -eu

if [ $# -ne 1 ]; then
  echo "usage: $0 SERVER_NAME" >&2
  exit 2
fi
umask 077

# key NAME: a new private key
key() {
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"
}

# issue NAME USAGE SUBJECT: a certificate for a year
issue() {
  key "$1"
  openssl req -new -key "$1.key" -subj "/CN=$3" -out "$1.csr"
  printf 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=%s\nsubjectAltName=DNS:%s\n' "$2" "$3" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 -extfile "$1.ext" -out "$1.pem"
  rm "$1.csr" "$1.ext"
}

key ca
openssl req -new -x509 -key ca.key -subj '/CN=lattice authority' -days 3650 \
  -addext 'keyUsage=critical,keyCertSign,cRLSign' -out ca.pem
issue server serverAuth "$1"
issue client clientAuth wattle
