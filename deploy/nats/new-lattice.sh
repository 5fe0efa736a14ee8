#!/bin/sh
# Writes the configuration of one lattice to standard output.
#
#   new-lattice.sh LATTICE HOST_KEY PROVIDER_KEY OPERATOR_KEY OBSERVER_KEY [JETSTREAM_DOMAIN]
#
# The keys are public ones of NATS users (U...), as `wattle keys gen user --name NAME` tells them. The domain is for a
# lattice with leaf nodes, whose hosts are started with --js-domain: what is written then has a user for the leaf nodes,
# LATTICE-leaf, with a password: keep it to yourself (`umask 077`). The password is made here, or is $LEAF_PASSWORD.
set -eu

if [ $# -lt 5 ] || [ $# -gt 6 ]; then
  echo "usage: $0 LATTICE HOST_KEY PROVIDER_KEY OPERATOR_KEY OBSERVER_KEY [JETSTREAM_DOMAIN]" >&2
  exit 2
fi
for name in "$1" "${6-none}" "${LEAF_PASSWORD-none}"; do
  case $name in
    '' | *[!A-Za-z0-9_-]*)
      echo "$0: lattice, domain and LEAF_PASSWORD are made of letters, digits, - and _, not: '$name'" >&2
      exit 2
      ;;
  esac
done
for key in "$2" "$3" "$4" "$5"; do
  case $key in
    U*[!A-Z2-7]* | [!U]* | '')
      echo "$0: not the public key of a NATS user (U...): $key" >&2
      exit 2
      ;;
  esac
done

if [ $# -eq 6 ]; then
  password=${LEAF_PASSWORD-$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')}
  if [ ${#password} -lt 32 ]; then
    echo "$0: a leaf's password has at least 32 characters" >&2
    exit 1
  fi
  # What is asked of a JetStream goes by its domain at a leaf node, and without at the hub: both are allowed.
  leaf="
s/@LEAF_PASSWORD@/$password/
/^ *\"\\\$JS\.API\./{p;s/JS\.API/JS.$6.API/;}
/^ *\"\\\$KV\./{p;s/\\\$KV/\$JS.$6.API.\$KV/;}"
else
  leaf='
/^# A leaf node/,/^$/d
/\$LEAF/d'
fi
sed -e "s/@LATTICE@/$1/g" -e "s/@HOST_KEY@/$2/" -e "s/@PROVIDER_KEY@/$3/" -e "s/@OPERATOR_KEY@/$4/" \
  -e "s/@OBSERVER_KEY@/$5/$leaf" "$(dirname "$0")/lattice.conf"
