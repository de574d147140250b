"""A tour of the compose stack with everything that operators do to it; prints what was seen.

`python -m tests.compose_tour <folder> [part ...]`, where the folder is a checkout with .env and secrets (see
docs/quickstart.md) and the stack runs with the profile `demo`. Parts: sdk, demo, kills, scale, upgrade, metrics;
with docker-compose.docker.yml also containers and restore (RESTART_ENGINE is a shell command that restarts the
engine). It takes minutes and is run by hand, or before a release. It needs root on the engine's machine:
containers are killed from outside, as crashes do.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click

from tests.compose_stack import (
    SERVICES,
    Stack,
    Traffic,
    docker,
    find_container,
    list_running,
    list_running_ids,
    waits,
)

_TESTS_OF_SDK = ("tests/e2e/test_sdk_chargers.py", "tests/e2e/test_sdk_commands.py")


def sdk(stack: Stack) -> None:
    """The end-to-end tests of the SDK, from outside and through the published ports."""
    token = f"docker compose --project-directory {stack.folder} exec -T api gateway token --show"
    environment = {
        **os.environ,
        "GATEWAY_TEST_URL": stack.base,
        "GATEWAY_TEST_TOKEN": f"{token} --organization",
        "GATEWAY_TEST_CSMS_HOST": "host.docker.internal",
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *_TESTS_OF_SDK],
        cwd=Path(__file__).parents[1],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    click.echo(done.stdout[-4000:] if done.returncode else done.stdout.splitlines()[-1])


def demo(stack: Stack) -> None:
    """A charger by the SDK from outside."""
    waits(stack.is_well, "the stack is well")
    click.echo(f"a charger ordered from outside is READY after {stack.comes_up():.1f} s")


def kills(stack: Stack) -> None:
    """Each container in turn, with chargers online."""
    for _ in range(5):
        stack.comes_up()
    expected = stack.count(stage="online")
    click.echo(
        f"{'killed':<10} {'healthy after':>14} {'new charger READY in':>21} {'online again':>13} {'READY':>7}"
    )
    for service in SERVICES:
        began = time.monotonic()
        stack.crash(service)
        waits(lambda s=service: _is_back(stack, s), f"{service} is back")
        healthy = time.monotonic() - began
        ready = stack.comes_up()
        expected += 1
        waits(lambda n=expected: stack.count(stage="online") == n, "all chargers are online")
        online = time.monotonic() - began
        share = f"{stack.count(status='READY')}/{expected}"
        click.echo(
            f"{service:<10} {healthy:>12.1f} s {ready:>19.1f} s {online:>11.1f} s {share:>7}"
        )


def _is_back(stack: Stack, service: str) -> bool:
    listed = [one for one in stack.list_containers() if one["Service"] == service]
    is_fresh = all(not one["Status"].startswith("Exited") for one in listed)
    return bool(listed) and is_fresh and stack.is_well()


def scale(stack: Stack) -> None:
    """Workers to 3, api and link to 2, and back."""
    stack.shell("docker compose up -d --wait --scale worker=3 --scale api=2 --scale link=2")
    counted = Counter(one["Service"] for one in stack.list_containers())
    click.echo(f"scaled: worker {counted['worker']}, api {counted['api']}, link {counted['link']}")
    times = sorted(stack.comes_up() for _ in range(5))
    click.echo(f"5 chargers, one after the other: {times[0]:.1f} to {times[-1]:.1f} s")
    online = stack.count(stage="online")
    stack.shell("docker compose up -d --wait")
    waits(stack.is_well, "the stack is well")
    waits(lambda: stack.count(stage="online") == online, "all chargers are online")
    click.echo(f"scaled back; a charger is READY after {stack.comes_up():.1f} s")


def upgrade(stack: Stack) -> None:
    """deploy/upgrade.sh with traffic flowing."""
    with Traffic(stack) as traffic:
        began = time.monotonic()
        stack.shell("deploy/upgrade.sh")
        took = time.monotonic() - began
    statuses = Counter(
        waits(lambda c=charger: _settled(stack, c), f"{charger} settles")
        for charger in traffic.ordered
    )
    click.echo(f"upgrade took {took:.0f} s; meanwhile, by the SDK with its retries:")
    click.echo(
        f"{len(traffic.ordered) + len(traffic.failures)} orders, {len(traffic.failures)} failed;"
        f" what became of them: {dict(statuses)}"
    )
    click.echo(f"{traffic.reads} reads without retries, {len(traffic.refusals)} of them refused")
    for line, times in Counter((*traffic.failures, *traffic.refusals)).items():
        click.echo(f"  {times} times {line}")


def _settled(stack: Stack, charger_id: str) -> str | None:
    status = stack.read_status(charger_id)
    return status if status in ("READY", "FAILED") else None


def metrics(stack: Stack) -> None:
    """The numbers of /metrics beside those of the database."""
    query = """SELECT 'chargers ' || status, count(*) FROM chargers WHERE deleted_at IS NULL GROUP BY 1
        UNION ALL SELECT 'runs ' || kind || ' ' || status, count(*) FROM runs GROUP BY 1
        UNION ALL SELECT 'runtimes not gone', count(*) FROM runtimes WHERE state <> 'gone' ORDER BY 1"""
    time.sleep(60)  # the whole-table counts are a minute old at most
    text = stack.compose("exec", "-T", "api", "python", "-c", _SCRAPE)
    rows = stack.compose(
        "exec", "-T", "postgres", "psql", "-U", "gateway", "-tA", "-F", "|", "-c", query
    )
    shown = json.loads(text)
    click.echo(f"{'what':<34} {'database':>9} {'/metrics':>9}")
    for line in filter(None, rows.splitlines()):
        what, number = line.split("|")
        click.echo(f"{what:<34} {number:>9} {shown.get(what, 0):>9.0f}")


#: Runs in the api's container: compose's proxy does not let metrics out.
_SCRAPE = """
import json, urllib.request
from prometheus_client.parser import text_string_to_metric_families as parse
text = urllib.request.urlopen('http://127.0.0.1:8000/metrics').read().decode()
sums = {}
for family in parse(text):
    for one in family.samples:
        if one.name == 'gateway_chargers': name = 'chargers ' + one.labels['status']
        elif one.name == 'gateway_runs': name = f"runs {one.labels['kind']} {one.labels['status']}"
        elif one.name == 'gateway_runtimes': name = 'runtimes not gone'
        else: continue
        sums[name] = sums.get(name, 0) + one.value
print(json.dumps(sums))
"""


def containers(stack: Stack, number: int = 30) -> None:
    """Chargers as containers: one out of memory, one removed, the engine restarted."""
    stack.delete_all()
    began = time.monotonic()
    chargers = [stack.create() for _ in range(number)]
    waits(lambda: stack.count(status="READY") == number, "all are READY")
    click.echo(
        f"{number} chargers ordered at once are READY after {time.monotonic() - began:.0f} s"
    )
    _tell_memory()
    _tell_recovery(stack, chargers[0], "out of memory", _exhaust_memory)
    _tell_recovery(stack, chargers[1], "removed by hand", lambda one: docker("rm", "-f", one))
    if restart := os.environ.get("RESTART_ENGINE"):
        _restart_engine(stack, chargers, restart)
    running = list_running()
    click.echo(f"{len(running)} containers run {len(set(running))} chargers")


def _tell_memory() -> None:
    """What the engine says of each charger's container (its cgroup, less the file cache that can be dropped)."""
    shown = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", *list_running_ids())
    used = sorted(float(line.split("MiB")[0]) for line in shown.splitlines() if "MiB" in line)
    click.echo(
        f"memory of {len(used)} containers by `docker stats`: {used[0]:.1f} to {used[-1]:.1f} MiB,"
        f" median {statistics.median(used):.1f} MiB"
    )


def _restart_engine(stack: Stack, chargers: list[str], command: str) -> None:
    before = list_running_ids()
    began = time.monotonic()
    stack.shell(command)
    click.echo(f"the engine was restarted in {time.monotonic() - began:.0f} s")
    waits(stack.is_answering, "the API answers")
    waits(lambda: len(list_running()) == len(chargers), "all have a container again")
    waits(lambda: stack.count(stage="online") == len(chargers), "all are online again")
    took = time.monotonic() - began
    click.echo(f"all {len(chargers)} are online again {took:.0f} s after its end began,")
    kept = set(before) & set(list_running_ids())
    click.echo(
        f"{stack.count(status='READY')} of them READY, {len(kept)} in the container of before"
    )
    errors = [stack.read_runtime(one)["last_error"] for one in chargers]
    click.echo(f"what was seen: {dict(Counter(error['code'] for error in errors if error))}")


def _exhaust_memory(container: str) -> None:
    """A neighbour in the container takes all it may have; the kernel is told to end the simulator first."""
    program = (
        "cd /proc; for p in [0-9]*; do [ $p = $$ ] || echo 1000 > $p/oom_score_adj; done;"
        " python -c 'bytearray(1 << 30)'"
    )
    subprocess.run(["docker", "exec", container, "sh", "-c", program], check=False)


def _tell_recovery(stack: Stack, charger_id: str, how: str, hurt: Callable[[str], object]) -> None:
    lost = find_container(charger_id)
    began = time.monotonic()
    hurt(lost)

    def is_back() -> bool:
        found = find_container(charger_id)
        return found not in ("", lost) and stack.read_runtime(charger_id)["stage"] == "online"

    waits(is_back, f"the charger is back ({how})")
    error = stack.read_runtime(charger_id)["last_error"]
    took = time.monotonic() - began
    click.echo(
        f"{how}: online in another container after {took:.1f} s; {error['code']}: {error['message']}"
    )


#: As docs/operations.md has it.
_BACKUP = "docker compose exec -T postgres pg_dump -U gateway -Fc gateway > gateway.dump"
_RESTORE = """
docker compose stop api link worker beat flower
docker compose exec -T postgres psql -U gateway -d postgres \
  -c 'DROP DATABASE IF EXISTS gateway WITH (FORCE)' -c 'CREATE DATABASE gateway'
docker compose exec -T postgres pg_restore -U gateway -d gateway --no-owner < gateway.dump
docker compose up -d --wait
"""


def restore(stack: Stack, number: int = 12) -> None:
    """A backup, chargers ordered and deleted after it, and the restore; container by container."""
    stack.delete_all()
    kept, gone = [stack.create() for _ in range(number)], stack.create()
    waits(lambda: stack.count(status="READY") == number + 1, "all are READY")
    stack.shell(_BACKUP)
    before = list_running_ids()
    stray = stack.create()
    waits(lambda: stack.read_status(stray) == "READY", "the charger after the dump is READY")
    stack.sdk.chargers.delete(gone)
    waits(lambda: not find_container(gone), "the deleted charger's container ended")
    began = time.monotonic()
    stack.shell(_RESTORE)
    click.echo(f"restored in {time.monotonic() - began:.0f} s")
    waits(lambda: not find_container(stray), "the container that the dump does not know ended")
    # What the dump says of its charger is out of date until the container is seen to be gone.
    waits(lambda: find_container(gone), "the charger that was deleted after the dump is back")
    waits(lambda: stack.count(stage="online") == number + 1, "all of the dump are online")
    click.echo(f"all {number + 1} of the dump are online {time.monotonic() - began:.0f} s after")
    after = list_running_ids()
    same = [one for one, charger in before.items() if charger in kept and after.get(one) == charger]
    starts = Counter(stack.read_runtime(one)["restarts"] for one in kept)
    click.echo(f"{len(same)} of {number} are in the container of before; restarts: {dict(starts)}")


PARTS: dict[str, Callable[[Stack], None]] = {
    "sdk": sdk,
    "demo": demo,
    "kills": kills,
    "scale": scale,
    "upgrade": upgrade,
    "metrics": metrics,
    "containers": containers,
    "restore": restore,
}
#: Those that need chargers in containers are asked for by name.
_USUAL = tuple(PARTS)[:6]


def main(arguments: list[str]) -> int:
    """Do the parts that are named, or those of every stack."""
    folder, *wanted = arguments
    stack = Stack(Path(folder))
    for name in wanted or _USUAL:
        click.echo(f"\n-- {name}")
        PARTS[name](stack)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
