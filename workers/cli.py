"""Commands that this package adds to `gateway`: worker, beat, adopt, evacuate, doctor."""

from __future__ import annotations

import os
import sys

import click


def _exec_celery(*arguments: str) -> None:
    """Become Celery: it sets up its own signals and must be the process that is supervised."""
    program = [sys.executable, "-m", "celery", "-A", "workers.celery_app", *arguments]
    os.execv(sys.executable, program)  # noqa: S606  # no shell is wanted


@click.command()
@click.option(
    "--concurrency", type=int, help="Worker processes. Default: GATEWAY_WORKER_CONCURRENCY."
)
@click.option(
    "--name", default="worker@%h", show_default=True, help="Node name, as Flower shows it."
)
def worker(concurrency: int | None, name: str) -> None:
    """Carry out orders: one Celery worker, with the keeper in its main process."""
    options = ["--loglevel", "WARNING", "-n", name, "--without-mingle", "--without-gossip"]
    if concurrency is not None:
        options += ["-c", str(concurrency)]
    _exec_celery("worker", *options)


@click.command()
def beat() -> None:
    """Send housekeeping on its schedule. One is enough; a second does no harm."""
    _exec_celery("beat", "--loglevel", "WARNING", "--pidfile=")


@click.command()
def adopt() -> None:
    """Make a restored or copied database this installation's, so that strays are stopped again."""
    from app.db import make_engine, make_sessions
    from app.settings import load_settings
    from app.store import installation

    settings = load_settings()
    with make_sessions(make_engine(settings.database_url)).begin() as session:
        former = installation.adopt(session, settings.install_id)
    if former == settings.install_id:
        click.echo(f"The database is {former}'s already.")
    else:
        click.echo(f"The database was {former or 'nobody'}'s and is now {settings.install_id}'s.")


@click.command()
@click.option("--patience", default=120.0, show_default=True, help="Seconds to wait for the ends.")
def evacuate(patience: float) -> None:
    """End the containers and tasks of this installation; they come back with the gateway."""
    from workers import evacuation
    from workers.runs.context import get_context
    from workers.runtimes.base import RuntimeTrouble

    try:
        ended = evacuation.evacuate(get_context(), patience_s=patience)
    except (RuntimeTrouble, TimeoutError) as trouble:
        raise click.ClickException(str(trouble)) from trouble
    click.echo(f"Ended {ended} runtimes that lived elsewhere.")


@click.command()
def doctor() -> None:
    """Say what is well and what is not, and what to do; exit code 1 when something failed.

    It looks at the gateway on this user's data folder; GATEWAY_DATA_DIR names another.
    """
    from app.settings import load_settings
    from workers.doctor import examine
    from workers.runtimes.findings import Level

    findings = examine(load_settings())
    for found in findings:
        click.echo(f"{found.level.value:<5} {found.subject}: {found.message}")
        if found.advice:
            click.echo(f"      {found.advice}")
    if any(found.level is Level.FAIL for found in findings):
        raise SystemExit(1)


commands = [worker, beat, adopt, evacuate, doctor]
