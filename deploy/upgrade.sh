#!/bin/sh
# Upgrades a running compose stack while traffic flows: backup, new images, migration, then each service in turn, a
# new replica beside the old before the old one goes. Run it in the folder of docker-compose.yml, on the new version
# (git pull, or GATEWAY_VERSION in .env). Migrations only ever add what the old version can live with, so old and
# new work side by side for the minute that this takes.
#
#   deploy/upgrade.sh            builds the images
#   deploy/upgrade.sh --pull     pulls them
#
# `up` is never given --no-deps here: Compose before 2.29.3 takes a container that was made so for a changed one and
# makes it anew the next time, the proxy too (github.com/docker/compose/issues/12069).
set -eu
cd "$(dirname "$0")/.."
say() { echo "== $*"; }
count() { docker compose ps -q "$1" | wc -l; }

mkdir -p backups
backup=backups/gateway-$(date +%Y%m%d-%H%M%S).dump
say "backup: $backup"
(umask 077 && docker compose exec -T postgres pg_dump -U gateway -Fc gateway >"$backup")

say "images"
if [ "${1:-}" = --pull ]; then docker compose pull -q api host; else docker compose build -q api host; fi

say "migration"
docker compose run --rm -T migrate
# What follows runs it once more when it starts the first service: not the old version's.
docker compose rm -f migrate >/dev/null

# Chargers keep their CSMS connection while links and workers change; api and link have the proxy before them.
scales=
for service in link api worker; do
    old=$(docker compose ps -q "$service")
    before=$(count "$service")
    say "$service: $before more"
    docker compose up -d --no-recreate --wait --scale "$service=$((2 * before))" "$service"
    for container in $old; do
        docker stop -t 30 "$container" >/dev/null
        docker rm "$container" >/dev/null
    done
    scales="$scales --scale $service=$before"
done

say "the rest"
# The host's chargers reconnect within seconds; each CSMS sees a close and a new boot. The proxy is touched only when
# it has changed itself; then connections are refused for a second.
# shellcheck disable=SC2086  # a list of words
docker compose up -d --wait $scales
say "done"
docker compose ps
