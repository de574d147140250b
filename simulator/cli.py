"""The simulator's commands, alone (`python -m simulator`) and as part of `gateway` (by entry point).

`host` runs chargers for a gateway, `csms` is the small strict CSMS of the demo and the tests.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys

import click

from simulator.csms import Csms, parse_boot
from simulator.host import Host
from simulator.logs import configure_logs
from simulator.settings import Settings, SettingsInvalid, read_settings


@click.command("host")
def host() -> None:
    """Run simulated chargers for the gateway at SIMULATOR_LINK_URL.

    With a host credential (h1...) in SIMULATOR_TOKEN or SIMULATOR_TOKEN_FILE: every charger that the gateway
    places here. With a bootstrap token (b1...): that one charger. All settings come from the environment.
    """
    try:
        settings = read_settings(os.environ)
    except SettingsInvalid as invalid:
        raise click.ClickException(str(invalid)) from invalid
    configure_logs(settings.log_level, "host")
    asyncio.run(_run_host(settings))


async def _run_host(settings: Settings) -> None:
    running = Host(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.stop)
    await running.run()


@click.command("csms")
@click.option(
    "--host", "address", default="127.0.0.1", show_default=True, help="Address to listen at."
)
@click.option(
    "--port", default=9000, show_default=True, help="Port to listen at; 0 takes a free one."
)
@click.option(
    "--boot",
    default="accepted",
    show_default=True,
    help="Answer to BootNotification: accepted, pending:N (N times, then accepted) or rejected.",
)
@click.option("--interval", default=30, show_default=True, help="Seconds between heartbeats.")
@click.option("--quiet", is_flag=True, help="Print no frames.")
def csms(address: str, port: int, boot: str, interval: int, quiet: bool) -> None:
    """Run a small strict CSMS for OCPP 1.6 and 2.0.1, to try chargers against."""
    try:
        parse_boot(boot)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--boot") from error
    configure_logs("WARNING", "csms")
    asyncio.run(_run_csms(address, port, boot, interval, quiet))


async def _run_csms(address: str, port: int, boot: str, interval: int, quiet: bool) -> None:
    server = Csms(interval_s=interval, on_frame=None if quiet else _print_frame)
    server.behave(boot=boot)
    try:
        await server.start(address, port)
    except OSError as error:
        reason = "in use" if error.errno == errno.EADDRINUSE else f"not to be had: {error.strerror}"
        raise click.ClickException(
            f"{address}:{port} is {reason}; --port names another, 0 any."
        ) from None
    click.echo(f"CSMS at {server.url}")
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await stopping.wait()
    await server.stop()


def _print_frame(identity: str, direction: str, text: str) -> None:
    arrow = "->" if direction == "u" else "<-"
    click.echo(f"{identity} {arrow} {text[:200]}")
    sys.stdout.flush()


commands: list[click.Command] = [host, csms]
