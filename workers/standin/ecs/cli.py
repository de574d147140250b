"""`gateway ecs-standin`: the stand-in as a program. It runs until SIGTERM or Ctrl-C and leaves no process."""

from __future__ import annotations

import os
import secrets
import shlex
import signal
import threading
from typing import Final

import click

from workers.standin.ecs.records import StandinSettings
from workers.standin.ecs.server import EcsStandin

_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


def _read_images(texts: tuple[str, ...]) -> dict[str, list[str]]:
    images: dict[str, list[str]] = {}
    for text in texts:
        name, _, command = text.partition("=")
        if not name or not command:
            raise click.BadParameter(f"{text!r} is not NAME=COMMAND", param_hint="--image")
        images[name] = shlex.split(command)
    return images


def _print_exports(standin: EcsStandin, region: str) -> None:
    """What points an AWS client at it, for a shell's `eval`."""
    click.echo(f"export AWS_ENDPOINT_URL={standin.endpoint}")
    click.echo(f"export AWS_ACCESS_KEY_ID={standin.access_key}")
    click.echo("export AWS_SECRET_ACCESS_KEY=standin")
    click.echo(f"export AWS_DEFAULT_REGION={region}")


@click.command("ecs-standin")
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option("--port", default=0, show_default=True, help="0 takes a free one.")
@click.option("--region", default="us-east-1", show_default=True)
@click.option("--cluster", "clusters", multiple=True, help="Besides 'default'; repeatable.")
@click.option(
    "--image", "images", multiple=True, help="NAME=COMMAND: what an image runs; repeatable."
)
@click.option("--time-scale", default=1.0, show_default=True, help="AWS seconds per second.")
@click.option("--visibility-lag", default=0.0, show_default=True, help="AWS seconds.")
@click.option("--vcpu-quota", default=6.0, show_default=True, help="Fargate vCPUs at once.")
@click.option("--throttling/--no-throttling", default=True, show_default=True)
def ecs_standin(
    host: str,
    port: int,
    region: str,
    clusters: tuple[str, ...],
    images: tuple[str, ...],
    time_scale: float,
    visibility_lag: float,
    vcpu_quota: float,
    throttling: bool,
) -> None:
    """Run an Amazon ECS that starts each task's command as a process of this machine.

    Prints the variables that point any AWS client at it. ECS_STANDIN_ACCESS_KEY chooses the access key.
    """
    if host not in _LOOPBACK:
        raise click.BadParameter("only loopback: callers start programs here", param_hint="--host")
    settings = StandinSettings(
        region=region,
        clusters=("default", *clusters),
        images=_read_images(images),
        visibility_lag_s=visibility_lag,
        vcpu_quota=vcpu_quota,
        throttling=throttling,
    )
    key = os.environ.get("ECS_STANDIN_ACCESS_KEY") or f"STANDIN{secrets.token_hex(12).upper()}"
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    try:
        standin = EcsStandin(settings, host=host, port=port, access_key=key, time_scale=time_scale)
    except OSError as error:
        raise click.ClickException(f"{host}:{port} cannot be used: {error.strerror}.") from None
    with standin:
        _print_exports(standin, region)
        while not over.wait(1.0):
            # A wait without end would not let the signal handler run on every platform.
            continue


commands: Final = [ecs_standin]
