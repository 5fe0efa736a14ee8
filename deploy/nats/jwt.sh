#!/bin/sh
# Makes one lattice's users as tokens (JWTs), with the same permissions as in lattice.conf. Needs `nsc` of NATS, with an
# operator and an account that is the lattice's (the account keeps lattices apart):
#
#   nsc add operator --name lattices
#   nsc add account --name LATTICE
#   nsc edit account --name LATTICE --js-mem-storage -1 --js-disk-storage -1 --js-streams -1 --js-consumer -1
#   jwt.sh LATTICE
#   nsc generate config --mem-resolver
#
# The last prints what the server needs instead of `accounts` in nats.conf. Each user's file for --nats-creds:
#
#   nsc generate creds --account LATTICE --name host
#
# For a lattice with leaf nodes, whose hosts are started with --js-domain, give the domain's name after the lattice's:
# then there is a user `leaf`, too. Its file goes into the remote in leaf.conf, `credentials: "./leaf.creds"`, instead of
# the password; `account` there is the account's public key; and instead of `accounts` stands what `nsc generate config`
# has printed. Users that are there already are not made again: `nsc delete user` first.
set -eu

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
  echo "usage: $0 LATTICE [JETSTREAM_DOMAIN]" >&2
  exit 2
fi
for name in "$1" "${2-none}"; do
  case $name in
    '' | *[!A-Za-z0-9_-]*)
      echo "$0: lattice and domain are made of letters, digits, - and _, not: '$name'" >&2
      exit 2
      ;;
  esac
done
lattice=$1

# add ROLE OPTION...: one user
add() {
  role=$1
  shift
  nsc add user --account "$lattice" --name "$role" "$@"
}

add host \
  --allow-pub 'wasmbus.evt.'"$lattice"'.*' \
  --allow-pub 'wasmbus.beat.'"$lattice"'.*' \
  --allow-pub 'wasmbus.rpc.'"$lattice"'.*' \
  --allow-pub 'wasmbus.rpc.'"$lattice"'.*.*' \
  --allow-pub 'wasmbus.rpc.'"$lattice"'.*.*.health' \
  --allow-pub 'wasmbus.rpc.'"$lattice"'.*.*.shutdown' \
  --allow-pub 'wasmbus.rpc.'"$lattice"'.*.*.linkdefs.*' \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.wattle.start_actor.*' \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.wattle.update_actor.*' \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.wattle.resize_actor.*' \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.wattle.try_actor.*' \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.wattle.promote_actor.*' \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.wattle.withdraw_actor.*' \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.wattle.measure_actor.*' \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.wattle.stop_actor.*' \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.wattle.start_provider.*' \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.wattle.update_provider.*' \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.wattle.stop_provider.*' \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.wattle.get_standings.*' \
  --allow-pub '$JS.API.STREAM.INFO.KV_LATTICEDATA_'"$lattice"'' \
  --allow-pub '$JS.API.STREAM.CREATE.KV_LATTICEDATA_'"$lattice"'' \
  --allow-pub '$JS.API.STREAM.MSG.GET.KV_LATTICEDATA_'"$lattice"'' \
  --allow-pub '$JS.API.CONSUMER.CREATE.KV_LATTICEDATA_'"$lattice"'' \
  --allow-pub '$JS.FC.KV_LATTICEDATA_'"$lattice"'.>' \
  --allow-pub '$KV.LATTICEDATA_'"$lattice"'.>' \
  --allow-pub '$JS.API.STREAM.INFO.KV_CONFIGDATA_'"$lattice"'' \
  --allow-pub '$JS.API.STREAM.CREATE.KV_CONFIGDATA_'"$lattice"'' \
  --allow-pub '$JS.API.STREAM.MSG.GET.KV_CONFIGDATA_'"$lattice"'' \
  --allow-pub '$JS.API.CONSUMER.CREATE.KV_CONFIGDATA_'"$lattice"'' \
  --allow-pub '$JS.FC.KV_CONFIGDATA_'"$lattice"'.>' \
  --allow-pub '$KV.CONFIGDATA_'"$lattice"'.>' \
  --allow-pub '_INBOX.'"$lattice"'.>' \
  --allow-pub '_INBOX.*' \
  --allow-pub '_INBOX.*.*' \
  --allow-sub 'wasmbus.ctl.v1.'"$lattice"'.host.ping' \
  --allow-sub 'wasmbus.ctl.v1.'"$lattice"'.component.auction' \
  --allow-sub 'wasmbus.ctl.v1.'"$lattice"'.provider.auction' \
  --allow-sub 'wasmbus.ctl.v1.'"$lattice"'.registry.put' \
  --allow-sub 'wasmbus.ctl.v1.'"$lattice"'.link.*' \
  --allow-sub 'wasmbus.ctl.v1.'"$lattice"'.claims.*' \
  --allow-sub 'wasmbus.ctl.v1.'"$lattice"'.config.>' \
  --allow-sub 'wasmbus.ctl.v1.'"$lattice"'.*.*.*' \
  --allow-sub 'wasmbus.beat.'"$lattice"'.*' \
  --allow-sub 'wasmbus.rpc.'"$lattice"'.*' \
  --allow-sub '_INBOX.'"$lattice"'.host.>'

add provider \
  --allow-pub 'wasmbus.rpc.'"$lattice"'.*' \
  --allow-sub 'wasmbus.rpc.'"$lattice"'.*.*' \
  --allow-sub 'wasmbus.rpc.'"$lattice"'.*.*.>' \
  --allow-sub '_INBOX.*' \
  --allow-sub '_INBOX.*.*' \
  --deny-sub '_INBOX.*.*.>' \
  --allow-pub-response=1 --response-ttl 10m

add operator \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.>' \
  --allow-pub '_INBOX.'"$lattice"'.operator.>' \
  --allow-sub 'wasmbus.evt.'"$lattice"'.*' \
  --allow-sub 'wasmbus.beat.'"$lattice"'.*' \
  --allow-sub '_INBOX.'"$lattice"'.operator.>'

add observer \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.host.ping' \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.host.get.*' \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.link.get' \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.claims.get' \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.wattle.get_load.*' \
  --allow-pub '_INBOX.'"$lattice"'.observer.>' \
  --allow-sub 'wasmbus.evt.'"$lattice"'.*' \
  --allow-sub 'wasmbus.beat.'"$lattice"'.*' \
  --allow-sub '_INBOX.'"$lattice"'.observer.>'

if [ $# -eq 1 ]; then
  exit
fi

add leaf \
  --allow-pub 'wasmbus.evt.'"$lattice"'.*' \
  --allow-pub 'wasmbus.beat.'"$lattice"'.*' \
  --allow-pub 'wasmbus.rpc.'"$lattice"'.>' \
  --allow-pub 'wasmbus.ctl.v1.'"$lattice"'.>' \
  --allow-pub '$JS.API.STREAM.INFO.KV_LATTICEDATA_'"$lattice"'' \
  --allow-pub '$JS.API.STREAM.CREATE.KV_LATTICEDATA_'"$lattice"'' \
  --allow-pub '$JS.API.STREAM.MSG.GET.KV_LATTICEDATA_'"$lattice"'' \
  --allow-pub '$JS.API.CONSUMER.CREATE.KV_LATTICEDATA_'"$lattice"'' \
  --allow-pub '$JS.FC.KV_LATTICEDATA_'"$lattice"'.>' \
  --allow-pub '$KV.LATTICEDATA_'"$lattice"'.>' \
  --allow-pub '$JS.API.STREAM.INFO.KV_CONFIGDATA_'"$lattice"'' \
  --allow-pub '$JS.API.STREAM.CREATE.KV_CONFIGDATA_'"$lattice"'' \
  --allow-pub '$JS.API.STREAM.MSG.GET.KV_CONFIGDATA_'"$lattice"'' \
  --allow-pub '$JS.API.CONSUMER.CREATE.KV_CONFIGDATA_'"$lattice"'' \
  --allow-pub '$JS.FC.KV_CONFIGDATA_'"$lattice"'.>' \
  --allow-pub '$KV.CONFIGDATA_'"$lattice"'.>' \
  --allow-pub '_INBOX.'"$lattice"'.>' \
  --allow-pub '_INBOX.*' \
  --allow-pub '_INBOX.*.*' \
  --allow-sub 'wasmbus.evt.'"$lattice"'.*' \
  --allow-sub 'wasmbus.beat.'"$lattice"'.*' \
  --allow-sub 'wasmbus.rpc.'"$lattice"'.>' \
  --allow-sub 'wasmbus.ctl.v1.'"$lattice"'.>' \
  --allow-sub '_INBOX.'"$lattice"'.>' \
  --allow-sub '_INBOX.*' \
  --allow-sub '_INBOX.*.*'

# It is good for nothing else.
nsc edit user --account "$lattice" --name leaf --conn-type LEAFNODE

# At a leaf node a host asks the JetStream of its hub by the domain.
for role in host leaf; do
  for bucket in LATTICEDATA CONFIGDATA; do
    nsc edit user --account "$lattice" --name "$role" \
      --allow-pub '$JS.'"$2"'.API.STREAM.INFO.KV_'"$bucket"'_'"$lattice" \
      --allow-pub '$JS.'"$2"'.API.STREAM.CREATE.KV_'"$bucket"'_'"$lattice" \
      --allow-pub '$JS.'"$2"'.API.STREAM.MSG.GET.KV_'"$bucket"'_'"$lattice" \
      --allow-pub '$JS.'"$2"'.API.CONSUMER.CREATE.KV_'"$bucket"'_'"$lattice" \
      --allow-pub '$JS.'"$2"'.API.$KV.'"$bucket"'_'"$lattice"'.>'
  done
done
