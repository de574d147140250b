#!/bin/sh
# Makes the secrets of a compose installation, once, in ./secrets; what is there already is kept.
#
#   deploy/make_secrets.sh            needs nothing but sh and openssl
#
# The folder is yours alone (0700). The files in it are readable (0644), because compose mounts them one by one
# into containers that run as other users. Keep a copy apart from the database's backups: with the link secret
# and the install id in it, containers and tasks that live elsewhere find back to a restored gateway.
set -eu
folder=${1:-$(cd "$(dirname "$0")/.." && pwd)/secrets}
umask 022
mkdir -p "$folder"
chmod 700 "$folder"

make() { # make <name>: from standard input, unless it is there
    if [ -s "$folder/$1" ]; then
        cat >/dev/null
    else
        tr -d '\n' >"$folder/$1"
        echo "made  $folder/$1"
    fi
}
read_secret() { cat "$folder/$1"; }
random() { openssl rand -hex "${1:-32}"; }
# HMAC-SHA256 in base64url without padding, as app/tokens.py signs (docs/link.md).
sign() { printf %s "$2" | openssl dgst -sha256 -hmac "$1" -binary | openssl base64 -A | tr '+/' '-_' | tr -d '='; }

printf 'gw%s' "$(random 4)" | make install_id
random | make postgres_password
random | make redis_password
random | make link_secret
random 12 | make flower_password
random 12 | make grafana_password
printf 'k1:%s' "$(random)" | make jwt_secrets

# What follows is made of the above.
printf 'postgresql://gateway:%s@postgres:5432/gateway' "$(read_secret postgres_password)" | make database_url
printf 'redis://:%s@redis:6379/0' "$(read_secret redis_password)" | make broker_url
printf 'requirepass %s' "$(read_secret redis_password)" | make redis.conf
printf 'gateway:%s' "$(read_secret flower_password)" | make flower_basic_auth
host="h1.$(read_secret install_id)-1"
printf '%s.%s' "$host" "$(sign "$(read_secret link_secret)" "$host")" | make host_credential
