#!/bin/sh
# Writes the configuration of one lattice to standard output.
#
#   new-lattice.sh LATTICE HOST_KEY PROVIDER_KEY OPERATOR_KEY OBSERVER_KEY
#
# The keys are public ones of NATS users (U...), as `wattle keys gen user --name NAME` tells them.
set -eu

if [ $# -ne 5 ]; then
  echo "usage: $0 LATTICE HOST_KEY PROVIDER_KEY OPERATOR_KEY OBSERVER_KEY" >&2
  exit 2
fi
case $1 in
  '' | *[!A-Za-z0-9_-]*)
    echo "$0: a lattice's name is made of letters, digits, - and _: $1" >&2
    exit 2
    ;;
esac
lattice=$1
shift
for key in "$@"; do
  case $key in
    U*[!A-Z2-7]* | [!U]* | '')
      echo "$0: not the public key of a NATS user (U...): $key" >&2
      exit 2
      ;;
  esac
done
sed -e "s/@LATTICE@/$lattice/g" -e "s/@HOST_KEY@/$1/" -e "s/@PROVIDER_KEY@/$2/" -e "s/@OPERATOR_KEY@/$3/" \
  -e "s/@OBSERVER_KEY@/$4/" "$(dirname "$0")/lattice.conf"
