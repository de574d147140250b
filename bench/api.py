"""What the API costs: create, status and list beside bare Flask routes on the same server and the same rows.

`python -m bench.api [--quick]`. Ours and the floor (`bench.floor_api`) are asked in turn, round by round, by the
same client, so that a noisy moment hurts both; each figure is the median of the rounds. PostgreSQL is durable
(fsync on). Orders are spread over organizations, twenty each, so that every one is hinted at once, as the floor's
is. Then the broker is frozen, and stopped: a create must not notice. An aim that is missed is followed by a
profile of the request by library.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import psutil

from app.db import make_engine
from app.tokens import Role, issue_token
from bench.figures import Aim, Figure, median, print_table
from bench.load import Load, run_load, write_request
from bench.profile import print_profile
from bench.programs import SECRET, answers, read_cpu, run_program, take_port, wait_until
from migrations import upgrade
from tests.servers import Postgres, Valkey, make_folder

_CLIENTS: Final = 16
_PER_ORGANIZATION: Final = 20
#: A page of `list` needs an organization with more than one page of chargers.
_LISTED: Final = "listed"
_START: Final = "from app.api.serving import serve; from app.settings import load_settings; serve(load_settings())"


#: Of ours and of the floor.
Rounds: TypeAlias = tuple[list[Load], list[Load]]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is asked."""

    rounds: int = 5
    seconds: float = 1.5
    #: Creates while the broker is away.
    outage: int = 400


QUICK: Final = Sizes(rounds=2, seconds=0.5, outage=60)


@dataclass
class Counter:
    """The servers, and requests to them that never repeat themselves."""

    valkey: Valkey
    #: The port and the process of the API, and of its floor.
    ours: tuple[int, psutil.Process]
    floor: tuple[int, psutil.Process]
    token: str
    #: The environment that the API has.
    settings: dict[str, str]
    ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        #: Orders made so far; each is sent exactly once.
        self.orders = 0
        self._chance = random.Random(7)

    def write_create(self, path: str = "/ocpp/chargers", organization: str = "") -> bytes:
        """An order that nobody gave before."""
        number = self.orders
        self.orders += 1
        order = {
            "identity": f"CP-{number}",
            "brand_slug": "wallbox",
            "model_slug": "wallbox-pulsar-plus",
            "connector_type": "Type2",
            "ws_url": "ws://127.0.0.1:9/ocpp",
        }
        organization = organization or f"org-{number // _PER_ORGANIZATION}"
        return write_request("POST", path, json.dumps(order).encode(), self._sign(organization))

    def write_status(self) -> bytes:
        """The status of some charger."""
        charger_id = self._chance.choice(self.ids)
        return write_request(
            "GET", f"/ocpp/chargers/{charger_id}/status", headers=self._sign(_LISTED)
        )

    def write_one(self) -> bytes:
        """The floor of a status."""
        return write_request("GET", f"/one/{self._chance.choice(self.ids)}")

    def write_list(self) -> bytes:
        """A page of 50."""
        return write_request("GET", "/ocpp/chargers?limit=50", headers=self._sign(_LISTED))

    def _sign(self, organization: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "X-Organization-Id": organization}

    def fill(self) -> None:
        """The chargers whose status and list are asked for."""
        made = run_load(
            self.ours[0], lambda: self.write_create(organization=_LISTED), clients=4, most=200
        )
        self.ids = [json.loads(body)["charger_id"] for body in made.bodies]

    def count_messages(self) -> int:
        """Messages in the broker's queues since it started."""
        stats: Any = self.valkey.connect().info("commandstats")
        return int(stats.get("cmdstat_lpush", {}).get("calls", 0))


@contextlib.contextmanager
def open_counter() -> Iterator[Counter]:
    """PostgreSQL, Valkey, the API and its floor; all gone at the end."""
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(Postgres(stack.enter_context(make_folder()), durable=True))
        valkey = stack.enter_context(Valkey(stack.enter_context(make_folder())))
        url = postgres.create("bench")
        engine = make_engine(url)
        upgrade(engine)
        engine.dispose()
        ports = [take_port(), take_port()]
        programs = (("-c", _START), ("-m", "bench.floor_api"))
        settings = make_settings(url, valkey.url)
        children = [
            stack.enter_context(run_program(*argv, **settings, GATEWAY_API_PORT=str(port)))
            for port, argv in zip(ports, programs, strict=True)
        ]
        for port in ports:
            wait_until(lambda port=port: answers(port), "a server listens")
        token = issue_token(
            {"k": SECRET}, subject="bench", organization_id="bench", role=Role.ADMIN, ttl_s=3600
        )
        ours, floor = zip(ports, children, strict=True)
        yield Counter(valkey, ours, floor, token, settings)


def make_settings(database_url: str, broker_url: str) -> dict[str, str]:
    """What every program of the gateway needs to know."""
    return {
        "GATEWAY_DATABASE_URL": database_url,
        "GATEWAY_BROKER_URL": broker_url,
        "GATEWAY_JWT_SECRETS": f"k:{SECRET}",
        "GATEWAY_LINK_SECRET": SECRET,
        "GATEWAY_INSTALL_ID": "bench",
    }


def compare(
    counter: Counter,
    ours: Callable[[], bytes],
    floor: Callable[[], bytes],
    sizes: Sizes,
    clients: int,
) -> Rounds:
    """Rounds of both, in turn; the first one, which warms both up, is left out."""
    rounds: Rounds = ([], [])
    sides = ((counter.ours, ours, rounds[0]), (counter.floor, floor, rounds[1]))
    for number in range(sizes.rounds + 1):
        for (port, process), make_request, loads in sides if number % 2 else reversed(sides):
            before = read_cpu(process)
            load = run_load(port, make_request, clients=clients, seconds=sizes.seconds)
            load.cpu_s = read_cpu(process) - before
            if load.refused:
                raise SystemExit(f"{load.refused} requests were refused: {load.bodies[-1][:300]!r}")
            loads.append(load)
    return rounds[0][1:], rounds[1][1:]


def describe(name: str, against: str, rounds: Rounds, aim: Aim | None) -> list[Figure]:
    """Rate, p50 and p99 with many clients at once, and what a request costs the server."""

    def beside(what: str, read: Callable[[Load], float], unit: str, *rest: Any) -> Figure:
        ours, floor = (median(map(read, side)) for side in rounds)
        return Figure(f"{name}, {what}", ours, unit, floor, *rest)

    return [
        beside(f"{_CLIENTS} clients", lambda load: load.rate, "/s", against, aim),
        beside("p50", lambda load: load.read_ms(0.5), "ms"),
        beside("p99", lambda load: load.read_ms(0.99), "ms"),
        beside("CPU of the server per request", lambda load: load.cpu_ms, "ms"),
    ]


def describe_alone(name: str, rounds: Rounds) -> Figure:
    """The median of one client alone."""
    values = [median(load.read_ms(0.5) for load in side) for side in rounds]
    return Figure(f"{name}, one client, p50", values[0], "ms", values[1])


def measure_kinds(counter: Counter, sizes: Sizes) -> list[Figure]:
    """Create, status, list; then the LPUSH for information."""
    kinds: tuple[tuple[str, str, Callable[[], bytes], Callable[[], bytes], Aim | None], ...] = (
        (
            "create",
            "bare route: same rows, one transaction, one send_task",
            counter.write_create,
            lambda: counter.write_create("/create"),
            Aim(least=0.6),
        ),
        (
            "status",
            "bare route: one SELECT by key",
            counter.write_status,
            counter.write_one,
            Aim(least=0.7),
        ),
        (
            "list of 50",
            "bare route: one page, one count",
            counter.write_list,
            lambda: write_request("GET", f"/list/{_LISTED}"),
            None,
        ),
    )
    figures = []
    for name, against, ours, floor, aim in kinds:
        before = counter.orders, counter.count_messages()
        many = compare(counter, ours, floor, sizes, _CLIENTS)
        figures += describe(name, against, many, aim)
        if name == "create":
            figures.append(describe_messages(counter, *before))
            figures.append(compare_push(counter, figures[0], sizes))
        shorter = dataclasses.replace(sizes, seconds=sizes.seconds / 2)
        figures.append(describe_alone(name, compare(counter, ours, floor, shorter, 1)))
    return figures


def compare_push(counter: Counter, create: Figure, sizes: Sizes) -> Figure:
    """The least that anybody could do to hand over an order; it remembers nothing."""
    pushed = run_load(
        counter.floor[0],
        lambda: counter.write_create("/push"),
        clients=_CLIENTS,
        seconds=sizes.seconds,
    )
    against = "bare route: one LPUSH, no database (for information)"
    return Figure(create.what, create.ours, "/s", pushed.rate, against)


def describe_messages(counter: Counter, orders: int, messages: int) -> Figure:
    """Hints go out in the background; they must not fall behind unseen."""
    sent = (counter.count_messages() - messages) / (counter.orders - orders)
    return Figure("create, messages sent by the end", sent, "per order", 1.0, "one send_task")


def measure_outages(counter: Counter, sizes: Sizes) -> list[Figure]:
    """Creates while the broker accepts and never answers, and while nobody listens."""

    def create() -> float:
        load = run_load(counter.ours[0], counter.write_create, clients=4, most=sizes.outage)
        if load.refused:
            raise SystemExit(f"{load.refused} orders were refused: {load.bodies[-1][:300]!r}")
        return load.read_ms(0.99)

    usual = create()
    figures = []
    for state, begin, end in (
        ("frozen", counter.valkey.freeze, counter.valkey.thaw),
        ("stopped", counter.valkey.stop, counter.valkey.start),
    ):
        begin()
        try:
            p99 = create()
        finally:
            end()
        what = f"create, broker {state}, 4 clients, p99"
        aim = Aim(most=100, of="value")
        figures.append(Figure(what, p99, "ms", usual, "the same with a broker", aim))
    return figures


def measure(sizes: Sizes) -> list[Figure]:
    """The whole suite."""
    with open_counter() as counter:
        counter.fill()
        figures = measure_kinds(counter, sizes)
        figures += measure_outages(counter, sizes)
    return figures


def explain(figures: list[Figure]) -> None:
    """What a request is made of, for those whose aim was missed."""
    for kind in ("create", "status"):
        if any(
            one.aim and not one.aim.holds(one) for one in figures if one.what.startswith(f"{kind},")
        ):
            print_profile(kind)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    figures = measure(QUICK if parser.parse_args().quick else Sizes())
    print_table("API", figures)
    explain(figures)


if __name__ == "__main__":
    main()
