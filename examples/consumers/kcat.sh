#!/bin/sh
# Looks at Khabar's topics with kcat: sh kcat.sh BOOTSTRAP_SERVERS TOPIC [REGISTRY_URL]
#
# With a registry, values are decoded: kcat must have been built with Avro (`kcat -V` says so;
# Debian's is not). Without one, a line says of each message its place, key, headers and bytes:
# all that there is to see of dead letters.
set -eu
servers=$1 topic=$2 registry=${3:-}
# Without read_committed, records come too that a killed run wrote and never committed.
set -- -C -b "$servers" -t "$topic" -o beginning -e -q -X isolation.level=read_committed
if [ -n "$registry" ]; then
  exec kcat "$@" -r "$registry" -s value=avro
fi
exec kcat "$@" -f 'partition %p offset %o key %k headers %h bytes %S\n'
