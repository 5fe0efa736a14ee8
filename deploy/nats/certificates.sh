#!/bin/sh
# Makes an authority of your own, and with it certificates for servers and a client, in the directory you are in. Needs
# openssl.
#
#   certificates.sh SERVER_NAME...
#
# A SERVER_NAME is how clients call a server in --nats-url. The files: ca.pem (everybody gets it), ca.key (makes new
# certificates: put it away), server.pem and server.key for the first name, NAME.pem and NAME.key for each other one,
# client.pem and client.key (for `verify: true`). What is there already stays: to add a server, name it after the first.
set -eu

if [ $# -eq 0 ]; then
  echo "usage: $0 SERVER_NAME..." >&2
  exit 2
fi
umask 077

# key NAME: a new private key
key() {
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"
}

# issue FILE USAGE SUBJECT: a certificate for a year
issue() {
  if [ -e "$1.pem" ]; then
    echo "$1.pem is there already" >&2
    return
  fi
  key "$1"
  openssl req -new -key "$1.key" -subj "/CN=$3" -out "$1.csr"
  printf 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=%s\nsubjectAltName=DNS:%s\n' "$2" "$3" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 -extfile "$1.ext" -out "$1.pem"
  rm "$1.csr" "$1.ext"
}

if [ -e ca.pem ] && ! [ -e ca.key ]; then
  echo "$0: ca.pem is here but not ca.key, which makes certificates: bring it back for this" >&2
  exit 1
fi
if ! [ -e ca.pem ]; then
  key ca
  openssl req -new -x509 -key ca.key -subj '/CN=lattice authority' -days 3650 \
    -addext 'keyUsage=critical,keyCertSign,cRLSign' -out ca.pem
fi
# Servers of a cluster, and leaf nodes, show each other their certificates.
issue server serverAuth,clientAuth "$1"
shift
for name in "$@"; do
  issue "$name" serverAuth,clientAuth "$name"
done
issue client clientAuth wattle
