#!/bin/sh
# Upgrades a running compose stack while traffic flows: backup, new images, migration, then each service in turn, a
# new replica beside the old before the old one goes. Run it in the folder of docker-compose.yml, on the new version
# (git pull, or GATEWAY_VERSION in .env). Migrations only ever add what the old version can live with, so old and
# new work side by side for the minute that this takes.
#
#   deploy/upgrade.sh            builds the images
#   deploy/upgrade.sh --pull     pulls them
set -eu
cd "$(dirname "$0")/.."
say() { echo "== $*"; }
count() { docker compose ps -q "$1" | wc -l; }

mkdir -p backups
backup=backups/gateway-$(date +%Y%m%d-%H%M%S).dump
say "backup: $backup"
docker compose exec -T postgres pg_dump -U gateway -Fc gateway >"$backup"

say "images"
if [ "${1:-}" = --pull ]; then docker compose pull -q api host; else docker compose build -q api host; fi

say "migration"
docker compose run --rm -T migrate

# Chargers keep their CSMS connection while links and workers change; api and link have the proxy before them.
for service in link api worker; do
    old=$(docker compose ps -q "$service")
    before=$(count "$service")
    say "$service: $before more"
    docker compose up -d --no-deps --no-recreate --wait --scale "$service=$((2 * before))" "$service"
    for container in $old; do
        docker stop -t 30 "$container" >/dev/null
        docker rm "$container" >/dev/null
    done
    docker compose up -d --no-deps --no-recreate --scale "$service=$before" "$service"
done

say "the rest"
docker compose up -d --no-deps --wait beat flower proxy
# Its chargers reconnect within seconds; each CSMS sees a close and a new boot.
docker compose up -d --no-deps --wait host
say "done"
docker compose ps
