#!/bin/sh
# A Docker engine for tests on a machine that has none, and a base image where no registry can be reached.
#
#   tests/docker_engine.sh start   start an engine of our own (or use the one that answers already), print
#                                  `export DOCKER_HOST=...`; everything else goes to standard error
#   tests/docker_engine.sh images  make the base image and build the two images of this project with it
#   tests/docker_engine.sh stop    stop the engine that `start` started
#
# Exit code 0: there is an engine. 3: this machine cannot have one, and the last line says why; callers print
# it and go on. Data lie in $ENGINE_DIR (default: .cache/docker-engine); remove it to begin anew.
#
#   eval "$(tests/docker_engine.sh start)" && tests/docker_engine.sh images
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
dir=${ENGINE_DIR:-$here/.cache/docker-engine}
socket=$dir/docker.sock
base=charger-gateway/base:test
log() { echo "docker engine: $*" >&2; }
give_up() { log "not here: $*"; exit 3; }
answers() { docker -H "$1" version >/dev/null 2>&1; }

install_packages() {
    missing=
    for program in "$@"; do
        command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
    done
    [ -n "$missing" ] || return 0
    [ "$(id -u)" = 0 ] || give_up "$missing is missing and only root can install it"
    command -v apt-get >/dev/null 2>&1 || give_up "$missing is missing and there is no apt-get"
    packages=$(echo "$missing" | sed 's/dockerd/docker.io/')
    log "installing$packages"
    export DEBIAN_FRONTEND=noninteractive
    # A package's own service is not started where policy-rc.d forbids it; ours is.
    # shellcheck disable=SC2086  # a list of words
    apt-get install -y --no-install-recommends $packages >"$dir/apt.log" 2>&1 ||
        { apt-get update && apt-get install -y --no-install-recommends $packages; } >"$dir/apt.log" 2>&1 ||
        give_up "apt-get cannot install$packages (see $dir/apt.log)"
}

start() {
    for candidate in "${DOCKER_HOST:-}" "unix://$socket" unix:///var/run/docker.sock; do
        if [ -n "$candidate" ] && command -v docker >/dev/null 2>&1 && answers "$candidate"; then
            echo "export DOCKER_HOST=$candidate"
            return 0
        fi
    done
    mkdir -p "$dir"
    install_packages dockerd iptables
    [ "$(id -u)" = 0 ] || give_up "only root can start dockerd"
    # A socket's path may have 107 bytes.
    [ ${#socket} -lt 100 ] || give_up "the path $socket is too long; set ENGINE_DIR"
    rm -f "$dir/docker.pid"
    setsid nohup dockerd --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/docker.pid" \
        -H "unix://$socket" >"$dir/dockerd.log" 2>&1 </dev/null &
    tries=0
    until answers "unix://$socket"; do
        tries=$((tries + 1))
        if [ "$tries" -gt 60 ] || ! kill -0 $! 2>/dev/null; then
            give_up "dockerd does not start: $(grep -o 'failed to start.*' "$dir/dockerd.log" | tail -1)"
        fi
        sleep 0.5
    done
    log "started, log in $dir/dockerd.log"
    echo "export DOCKER_HOST=unix://$socket"
}

make_base() {
    docker image inspect "$base" >/dev/null 2>&1 && return 0
    if docker pull -q python:3.11-slim-bookworm >/dev/null 2>&1; then
        docker tag python:3.11-slim-bookworm "$base"
        return 0
    fi
    install_packages debootstrap
    [ "$(id -u)" = 0 ] || give_up "only root can run debootstrap"
    log "no registry answers: making a base image from Debian packages (a minute or two)"
    mkdir -p "$dir"
    rm -rf "$dir/rootfs"
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
        bookworm "$dir/rootfs" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$dir/debootstrap.log" 2>&1 ||
        give_up "debootstrap failed (see $dir/debootstrap.log)"
    rm -rf "$dir/rootfs/var/cache/apt/archives" "$dir/rootfs/var/lib/apt/lists"
    tar -C "$dir/rootfs" -c . | docker import - "$base" >/dev/null
    rm -rf "$dir/rootfs"
}

images() {
    answers "${DOCKER_HOST:-unix://$socket}" || give_up "no engine answers"
    export DOCKER_HOST="${DOCKER_HOST:-unix://$socket}" DOCKER_BUILDKIT=0
    make_base
    "$here/deploy/wheelhouse.sh" >&2 || give_up "the wheels of the images cannot be downloaded"
    for target in gateway simulator; do
        log "building charger-$target:test"
        docker build -q --build-arg "BASE=$base" --target "$target" -t "charger-$target:test" "$here" >/dev/null
    done
}

stop() {
    [ -f "$dir/docker.pid" ] || return 0
    kill "$(cat "$dir/docker.pid")" 2>/dev/null || true
    tries=0
    while [ -f "$dir/docker.pid" ] && [ "$tries" -lt 60 ]; do
        tries=$((tries + 1))
        sleep 0.5
    done
}

case "${1:-}" in
start | images | stop) "$1" ;;
*) sed -n '2,12p' "$0" >&2; exit 2 ;;
esac
