# Two images: `gateway` (api, link, worker, beat, flower, migrate, doctor) and `simulator` (the chargers).
#
#   docker build --target gateway   -t charger-gateway:0.1.0 .
#   docker build --target simulator -t charger-simulator:0.1.0 .
#
# Both run as user 10001 and write to nothing but /tmp, so `--read-only` works with a tmpfs there. BASE may be any
# Debian-like image with Python 3.11 and its venv module. When deploy/wheelhouse holds wheels
# (deploy/wheelhouse.sh), the build uses those and no network.
ARG BASE=python:3.11-slim-bookworm

# -- what both builds need: a list of pinned libraries for each image, and the way to install them
FROM ${BASE} AS lists
WORKDIR /lists
COPY pyproject.toml constraints.txt deploy/image_requirements.py ./
RUN for image in build gateway simulator; do \
        python3 image_requirements.py $image >$image.txt || exit 1; \
    done

FROM ${BASE} AS tools
COPY deploy/wheelhouse /wheelhouse
COPY --from=lists /lists /lists
# `install <list> [options]`: into /opt/venv, from the wheelhouse where there is one.
RUN python3 -m venv /opt/venv \
    && printf '%s\n' '#!/bin/sh' 'set -eu' 'list=$1; shift' \
        'if ls /wheelhouse/*.whl >/dev/null 2>&1; then set -- --no-index --find-links /wheelhouse "$@"; fi' \
        'exec /opt/venv/bin/python -m pip install -q --no-cache-dir --disable-pip-version-check \' \
        '    -c /lists/constraints.txt -r /lists/$list.txt "$@"' >/usr/local/bin/install-list \
    && chmod +x /usr/local/bin/install-list

# -- the simulator
FROM tools AS build-simulator
RUN install-list simulator --no-deps && /opt/venv/bin/python -m pip uninstall -qy pip setuptools
COPY simulator /srv/charger/simulator
# Importing everything proves the list; the compiled files are what a read-only container cannot write itself.
RUN cd /srv/charger && /opt/venv/bin/python -m simulator host --help >/dev/null \
    && /opt/venv/bin/python -m compileall -q /opt/venv/lib /srv/charger

FROM ${BASE} AS simulator
RUN useradd --uid 10001 --user-group --no-create-home charger && mkdir /var/lib/charger \
    && chown charger: /var/lib/charger
COPY --from=build-simulator /opt/venv /opt/venv
COPY --from=build-simulator /srv/charger /srv/charger
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    SIMULATOR_IN_CONTAINER=true SIMULATOR_HEALTH_FILE=/tmp/alive
WORKDIR /srv/charger
USER 10001:10001
# The simulator touches the file each second; no interpreter is started to look at it.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD test $(( $(date +%s) - $(stat -c %Y "$SIMULATOR_HEALTH_FILE") )) -lt 15
ENTRYPOINT ["python", "-m", "simulator"]
CMD ["host"]

# -- the gateway
FROM tools AS build-gateway
RUN install-list gateway
COPY pyproject.toml /srv/gateway/
COPY app /srv/gateway/app
COPY workers /srv/gateway/workers
COPY simulator /srv/gateway/simulator
COPY migrations /srv/gateway/migrations
COPY docs /srv/gateway/docs
# Installed where it lies, so that the documentation beside it is served too. Build tools do not stay.
RUN touch /srv/gateway/README.md && install-list build \
    && /opt/venv/bin/python -m pip install -q --no-deps --no-index --no-build-isolation -e /srv/gateway \
    && /opt/venv/bin/python -m pip uninstall -qy pip setuptools wheel \
    && cd / && /opt/venv/bin/gateway --help >/dev/null \
    && /opt/venv/bin/python -m compileall -q /opt/venv/lib /srv/gateway

FROM ${BASE} AS gateway
RUN useradd --uid 10001 --user-group --no-create-home gateway
COPY deploy/check_http.sh /usr/local/bin/check-http
COPY --from=build-gateway /opt/venv /opt/venv
COPY --from=build-gateway /srv/gateway /srv/gateway
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
WORKDIR /srv/gateway
USER 10001:10001
ENTRYPOINT ["gateway"]
CMD ["--help"]
