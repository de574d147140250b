"""What a request is made of: time by library, for the API and for its floor, one request after another.

`python -m bench.profile create|status`. Both applications are called in this process without a server, so that
nothing but the request itself is in the profile. A profiler slows many small calls more than few large ones:
read the shares, not the milliseconds.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import os
import pstats
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from werkzeug.test import EnvironBuilder, run_wsgi_app

_REQUESTS: Final = 400
_WAITS: Final = ("method 'poll'", "select.select", "acquire")


def print_profile(kind: str) -> None:
    """Run both and print where the time goes; `kind` is `create` or `status`."""
    with _open_worlds(kind) as worlds:
        shares, totals = {}, {}
        for name, app, make_environ in worlds:
            shares[name], totals[name] = _profile(app, make_environ)
    table = Table(
        title=f"{kind}: milliseconds of a request by library (profiled)",
        title_justify="left",
        box=None,
    )
    table.add_column("library")
    for name in shares:
        table.add_column(f"{name} ({totals[name]:.2f} ms without the profiler)", justify="right")
    libraries = sorted(
        set().union(*shares.values()), key=lambda one: -max(share[one] for share in shares.values())
    )
    for library in libraries:
        cells = [shares[name][library] for name in shares]
        if max(cells) >= 0.005:
            table.add_row(library, *(f"{cell:.3f}" for cell in cells))
    Console(width=160, highlight=False).print(table)


@contextlib.contextmanager
def _open_worlds(kind: str) -> Iterator[list[tuple[str, Any, Callable[[], Any]]]]:
    """(name, application, maker of requests) of ours and the floor, on servers of their own."""
    # Loaded here: the suite that prints a profile is imported by nobody else.
    from app.api.application import close_app, create_app
    from app.settings import load_settings
    from bench import api
    from bench.floor_api import make_floor

    with api.open_counter() as counter:
        counter.fill()
        settings = counter.settings
        with _environment(settings):
            loaded = load_settings()
        ours, floor = create_app(loaded), make_floor(loaded)
        makers = {
            "create": (counter.write_create, lambda: counter.write_create("/create")),
            "status": (counter.write_status, counter.write_one),
        }[kind]
        yield [
            ("ours", ours, lambda: _make_environ(makers[0]())),
            ("floor", floor, lambda: _make_environ(makers[1]())),
        ]
        close_app(ours)


@contextlib.contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _make_environ(request: bytes) -> Any:
    """A WSGI environment out of the bytes that a client would send."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    headers = [
        tuple(line.split(": ", 1)) for line in lines if not line.startswith("Content-Length")
    ]
    return EnvironBuilder(
        path=path, method=method, headers=headers, data=body or None
    ).get_environ()


def _profile(app: Any, make_environ: Callable[[], Any]) -> tuple[Counter[str], float]:
    """Milliseconds by library under the profiler, and of a whole request without it."""
    for _ in range(50):
        run_wsgi_app(app, make_environ(), buffered=True)
    environs = [make_environ() for _ in range(_REQUESTS)]
    began = time.perf_counter()
    for environ in environs[: _REQUESTS // 2]:
        run_wsgi_app(app, environ, buffered=True)
    plain_ms = 1000 * (time.perf_counter() - began) / (_REQUESTS // 2)
    profiler = cProfile.Profile()
    for environ in environs[_REQUESTS // 2 :]:
        profiler.enable()
        run_wsgi_app(app, environ, buffered=True)
        profiler.disable()
    return _sort_by_library(pstats.Stats(profiler)), plain_ms


def _sort_by_library(stats: pstats.Stats) -> Counter[str]:
    """Each function's own time goes to the library that it is of; a built-in's to the library that called it."""
    shares: Counter[str] = Counter()
    each_ms = 1000 / (_REQUESTS // 2)
    for (path, _, name), (_, _, own, _, callers) in stats.stats.items():  # type: ignore[attr-defined]
        if any(word in name for word in _WAITS):
            shares["(waiting for a lock)"] += own * each_ms
        elif path == "~":
            for (caller, _, _), (_, _, own_there, _) in callers.items():
                shares[_name_library(caller)] += own_there * each_ms
        else:
            shares[_name_library(path)] += own * each_ms
    return shares


def _name_library(path: str) -> str:
    if "site-packages/" in path:
        name = path.split("site-packages/")[1].split("/")[0]
        # Written in C: its own time is mostly the database's.
        is_driver = name.startswith("psycopg")
        return "psycopg, and waiting for PostgreSQL" if is_driver else name.removesuffix(".py")
    for ours in ("app/", "bench/"):
        if f"/{ours}" in path:
            return f"{ours} (this project)"
    return "Python's own"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["create", "status"])
    print_profile(parser.parse_args().kind)


if __name__ == "__main__":
    main()
