#!/bin/sh
# A Docker engine for tests on a machine where none runs, and images where no registry can be reached.
#
#   tests/docker_engine.sh install     install what `start` and `images` need, by apt-get; nothing else installs
#   tests/docker_engine.sh compose     fetch Debian 13's `docker compose` into ~/.docker (or $DOCKER_CONFIG), where
#                                      there is none
#   tests/docker_engine.sh start       start an engine of our own (or use the one that answers already), print
#                                      `export DOCKER_HOST=...`; everything else goes to standard error
#   tests/docker_engine.sh images      make the base image and build with it what tests run; `images gateway
#                                      simulator` builds both of our images
#   tests/docker_engine.sh standins    build the servers of docker-compose.yml from Debian packages, print the
#                                      lines of .env that make compose use them
#   tests/docker_engine.sh stop        stop the engine that `start` started
#
# Exit code 0: done. 3: this machine cannot, and the last line says why; callers go on without an engine. Data lie
# in $ENGINE_DIR (default: .cache/docker-engine); remove it to begin anew.
#
#   eval "$(tests/docker_engine.sh start)" && tests/docker_engine.sh images
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
dir=${ENGINE_DIR:-$here/.cache/docker-engine}
socket=$dir/docker.sock
base=charger-gateway/base:test
# The programs of root are not on everybody's path.
PATH=$PATH:/usr/sbin:/sbin
log() { echo "docker engine: $*" >&2; }
give_up() { log "not here: $*"; exit 3; }
answers() { timeout 20 docker -H "$1" version >/dev/null 2>&1; }
is_root() { [ "$(id -u)" = 0 ]; }
need() {
    for program in "$@"; do
        command -v "$program" >/dev/null 2>&1 || give_up "there is no $program (tests/docker_engine.sh install)"
    done
}

install() {
    is_root || give_up "only root can install packages"
    command -v apt-get >/dev/null 2>&1 || give_up "there is no apt-get"
    export DEBIAN_FRONTEND=noninteractive
    # A package's own service is not started where policy-rc.d forbids it; ours is.
    { apt-get update && apt-get install -y --no-install-recommends docker.io iptables debootstrap; } >&2 ||
        give_up "apt-get cannot install docker.io, iptables and debootstrap"
}

compose() {
    need docker apt-get dpkg-deb
    docker compose version >&2 2>/dev/null && return 0
    plugins=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins
    # The sources of this machine stay as they are: one of our own, from the mirror that they name.
    # shellcheck disable=SC2016  # apt-get's variable
    mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' | head -n 1)}
    [ -n "$mirror" ] || give_up "apt-get knows no mirror of Debian; set DEBIAN_MIRROR"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/lists/partial" "$work/cache" "$plugins"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$work/sources.list"
    set -- -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- \
        -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
    { cd "$work" && apt-get "$@" update && apt-get "$@" download docker-compose && dpkg-deb -x ./*.deb "$work"; } >&2 ||
        give_up "Debian's package docker-compose cannot be fetched"
    cp "$work/usr/libexec/docker/cli-plugins/docker-compose" "$plugins/"
    docker compose version >&2 || give_up "the plugin in $plugins does not run here"
}

start() {
    need docker timeout
    for candidate in "${DOCKER_HOST:-}" "unix://$socket" unix:///var/run/docker.sock; do
        if [ -n "$candidate" ] && answers "$candidate"; then
            echo "export DOCKER_HOST=$candidate"
            return 0
        fi
    done
    need dockerd iptables setsid
    is_root || give_up "no engine answers and only root can start dockerd"
    # A socket's path may have 107 bytes.
    [ ${#socket} -lt 100 ] || give_up "the path $socket is too long; set ENGINE_DIR"
    mkdir -p "$dir"
    rm -f "$dir/docker.pid"
    setsid nohup dockerd --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/docker.pid" \
        -H "unix://$socket" >"$dir/dockerd.log" 2>&1 </dev/null &
    engine=$!
    # It has a session of its own, so whoever gives up on us would leave it behind.
    trap 'kill "$engine" 2>/dev/null; give_up "dockerd did not answer in time"' TERM INT
    tries=0
    until answers "unix://$socket"; do
        tries=$((tries + 1))
        if [ "$tries" -gt 60 ] || ! kill -0 "$engine" 2>/dev/null; then
            kill "$engine" 2>/dev/null || true
            give_up "dockerd does not start: $(tail -n 1 "$dir/dockerd.log")"
        fi
        sleep 0.5
    done
    trap - TERM INT
    log "started, log in $dir/dockerd.log"
    echo "export DOCKER_HOST=unix://$socket"
}

find_engine() {
    need docker timeout
    DOCKER_HOST=${DOCKER_HOST:-unix://$socket}
    export DOCKER_HOST
    answers "$DOCKER_HOST" || give_up "no engine answers"
}

make_base() {
    docker image inspect "$base" >/dev/null 2>&1 && return 0
    if timeout 120 docker pull -q python:3.11-slim-bookworm >/dev/null 2>&1; then
        docker tag python:3.11-slim-bookworm "$base"
        return 0
    fi
    is_root || give_up "no registry answers and only root can run debootstrap"
    need debootstrap
    log "no registry answers: making a base image from Debian packages"
    mkdir -p "$dir"
    rm -rf "$dir/rootfs"
    # shellcheck disable=SC2086  # without a mirror, debootstrap's own
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
        bookworm "$dir/rootfs" ${DEBIAN_MIRROR:-} >"$dir/debootstrap.log" 2>&1 ||
        give_up "debootstrap failed: $(tail -n 1 "$dir/debootstrap.log")"
    rm -rf "$dir/rootfs/var/cache/apt/archives" "$dir/rootfs/var/lib/apt/lists"
    tar -C "$dir/rootfs" -c . | docker import - "$base" >/dev/null
    rm -rf "$dir/rootfs"
}

build() { # build <target> <tag> <folder>
    log "building $2"
    # The old builder comes with every engine; what it says of itself is of no use here.
    said=$(DOCKER_BUILDKIT=0 docker build -q --build-arg "BASE=$base" --target "$1" -t "$2" "$3" 2>&1) ||
        { echo "$said" >&2; give_up "the image $2 cannot be built"; }
}

images() {
    find_engine
    make_base
    [ $# -gt 0 ] || set -- simulator
    said=$("$here/deploy/wheelhouse.sh" "$@" 2>&1) ||
        give_up "the wheels of the images cannot be downloaded: $(echo "$said" | grep -v '^WARNING' | tail -n 1)"
    for target in "$@"; do build "$target" "charger-$target:test" "$here"; done
}

standins() {
    find_engine
    make_base
    echo "BASE=$base"
    for server in postgres redis haproxy prometheus; do
        build "$server" "charger-gateway/$server:test" "$here/tests/standins"
        name=$(echo "$server" | sed 's/haproxy/proxy/' | tr '[:lower:]' '[:upper:]')
        echo "${name}_IMAGE=charger-gateway/$server:test"
    done
    # An engine of ours may not give containers more than we have.
    files=$(ulimit -H -n)
    [ "$files" = unlimited ] || [ "$files" -ge 65536 ] || echo "NOFILE=$files"
}

is_ours() { [ "$(cat "/proc/$1/comm" 2>/dev/null)" = dockerd ]; }

stop() {
    [ -f "$dir/docker.pid" ] || return 0
    pid=$(cat "$dir/docker.pid")
    # After a crash the number may be somebody else's.
    is_ours "$pid" && { kill "$pid" || true; }
    tries=0
    while is_ours "$pid" && [ "$tries" -lt 120 ]; do
        tries=$((tries + 1))
        sleep 0.5
    done
    is_ours "$pid" && log "dockerd ($pid) has not ended after 60 s"
    return 0
}

verb=${1:-}
[ $# -gt 0 ] && shift
case $verb in
install | compose | start | images | standins | stop) "$verb" "$@" ;;
*) sed -n '2,18p' "$0" >&2; exit 2 ;;
esac
