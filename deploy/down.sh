#!/bin/sh
# Stops the compose stack; data and secrets stay. Chargers that live in containers or tasks of their own go on
# without it, so this asks what becomes of them (without a terminal: keep).
#
#   deploy/down.sh [keep|stop]
set -eu
cd "$(dirname "$0")/.."
compose() { docker compose --profile demo --profile monitoring "$@"; }

answer=${1:-}
if [ -z "$answer" ]; then
    query="SELECT coalesce(string_agg(number || ' on ' || provider, ', '), '') FROM (SELECT provider, count(*) AS number
           FROM runtimes WHERE state <> 'gone' AND provider <> 'local' GROUP BY provider) AS elsewhere"
    elsewhere=$(compose exec -T postgres psql -U gateway -tAc "$query" || true)
    answer=keep
    if [ -n "$elsewhere" ] && [ -t 0 ]; then
        printf 'Chargers go on elsewhere while the gateway is down: %s. keep or stop them? [keep] ' "$elsewhere"
        read -r answer
        answer=${answer:-keep}
    fi
fi
case $answer in
keep) ;;
stop)
    # Workers would bring back what ends.
    compose stop worker
    compose run --rm -T --no-deps worker evacuate
    ;;
*) echo "keep or stop" >&2; exit 2 ;;
esac
compose down
