"""Whether lists, filters, statuses and logs stay fast when there is much: each beside the bare query it needs.

`make bench-large`, or `python -m bench.large [--quick]`. It fills a durable PostgreSQL with 100,000 chargers of
100 organizations and 10 million frames (a tenth of them of ten busy chargers; `bench.large_rows`), starts the API
on it, and asks both in turn (`bench.large_questions`), by one client on one connection: the API over HTTP, and
the same rows by psycopg without it. p50 and p99 of each. It takes about 6 GB below the temporary folder.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import psycopg
from rich.console import Console
from rich.table import Table

from app.db import get_dsn, make_engine
from app.tokens import Role, issue_token
from bench.figures import find_percentile
from bench.large_questions import QUESTIONS, Question, Subject
from bench.large_rows import QUICK, Sizes, fill
from bench.programs import SECRET, answers, run_program, take_port, wait_until
from migrations import upgrade
from tests.servers import Postgres, Valkey, make_folder

_START: Final = "from app.api.serving import serve; from app.settings import load_settings; serve(load_settings())"


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of the API and of the bare query."""

    ours: list[float]
    bare: list[float]


class Counter:
    """Asks both in turn."""

    def __init__(self, port: int, url: str, sizes: Sizes) -> None:
        self._sizes = sizes
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._sql = psycopg.connect(get_dsn(url), autocommit=True)
        self._tokens: dict[str, str] = {}

    def close(self) -> None:
        """Hang up."""
        self._http.close()
        self._sql.close()

    def ask(self, question: Question, rounds: int) -> Times:
        """`rounds` times, after a few that do not count."""
        chance = random.Random(7)
        times = Times([], [])
        warm = max(3, rounds // 20)
        for number in range(warm + rounds):
            subject = question.draw(chance, self._sizes)
            ours, bare = self._ask_api(question, subject), self._ask_bare(question, subject)
            if number >= warm:
                times.ours.append(ours)
                times.bare.append(bare)
        return times

    def _ask_api(self, question: Question, subject: Subject) -> float:
        token = self._make_token(
            "house" if question.admin else subject.values["org"], question.admin
        )
        path = question.write_path(subject)
        began = time.perf_counter()
        self._http.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = self._http.getresponse()
        body = answer.read()
        taken = time.perf_counter() - began
        if answer.status != 200 or not json.loads(body):
            raise SystemExit(f"{path}: {answer.status} {body[:200]!r}")
        return taken * 1000

    def _ask_bare(self, question: Question, subject: Subject) -> float:
        began = time.perf_counter()
        self._sql.execute(question.bare, subject.values, prepare=True).fetchall()
        return (time.perf_counter() - began) * 1000

    def _make_token(self, name: str, admin: bool) -> str:
        if name not in self._tokens:
            role = Role.ADMIN if admin else Role.USER
            self._tokens[name] = issue_token(
                {"k": SECRET}, subject="bench", organization_id=name, role=role, ttl_s=86_400
            )
        return self._tokens[name]


def show(results: Mapping[str, Times]) -> None:
    """One row per question."""
    table = Table(title="milliseconds: the API over HTTP beside the bare query")
    table.add_column("what")
    for column in ("p50", "p99", "bare p50", "bare p99", "p50 ratio"):
        table.add_column(column, justify="right")
    for what, times in results.items():
        cells = [
            find_percentile(of, share) for of in (times.ours, times.bare) for share in (0.5, 0.99)
        ]
        table.add_row(what, *(f"{cell:.2f}" for cell in cells), f"x{cells[0] / cells[2]:.1f}")
    Console(width=110).print(table)


def run(sizes: Sizes) -> None:
    """Fill, ask, show."""
    with (
        make_folder() as folder,
        make_folder() as other,
        Postgres(folder, durable=True) as postgres,
        Valkey(other) as valkey,
    ):
        url = postgres.create("large")
        engine = make_engine(url, statement_timeout_s=3600)
        upgrade(engine)
        engine.dispose()
        print(f"Filling: {sizes}", flush=True)
        with psycopg.connect(get_dsn(url), autocommit=True) as connection:
            fill(connection, sizes)
            size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
            print(f"The database has {(size or [0])[0] / 2**30:.2f} GiB.", flush=True)
        port = take_port()
        with run_program("-c", _START, **_make_environment(url, valkey.url, port)):
            wait_until(lambda: answers(port), "the API answers")
            counter = Counter(port, url, sizes)
            show({question.what: counter.ask(question, sizes.rounds) for question in QUESTIONS})
            counter.close()


def _make_environment(url: str, broker_url: str, port: int) -> dict[str, str]:
    return {
        "GATEWAY_DATABASE_URL": url,
        "GATEWAY_BROKER_URL": broker_url,
        "GATEWAY_JWT_SECRETS": f"k:{SECRET}",
        "GATEWAY_LINK_SECRET": SECRET,
        "GATEWAY_INSTALL_ID": "bench",
        "GATEWAY_API_PORT": str(port),
        "GATEWAY_API_WORKERS": "1",
        "GATEWAY_LOG_LEVEL": "WARNING",
    }


def main() -> None:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the chargers, a twentieth of the frames"
    )
    for name in ("organizations", "chargers", "frames", "rounds"):
        parser.add_argument(f"--{name}", type=int)
    given = vars(parser.parse_args())
    sizes = QUICK if given.pop("quick") else Sizes()
    values = {name: value or getattr(sizes, name) for name, value in given.items()}
    run(Sizes(**values))


if __name__ == "__main__":
    main()
