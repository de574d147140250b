"""The `gateway` command. Each function here reads options and calls one function elsewhere.

More commands come from other packages by the entry-point group `gateway.commands`: each entry is a list of click
commands (worker, beat, doctor from `workers`; host, csms from `simulator`). Libraries are imported inside the
functions, so that `gateway --help` and the supervisor stay light.
"""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from app.console import commands
from app.errors import DependencyDown, GatewayError, SettingsInvalid

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: Commands that decide for themselves where their data is.
_INDEPENDENT: Final = (
    "up",
    "demo",
    "down",
    "status",
    "token",
    "backup",
    "restore",
    *(command.name for command in commands),
)
_NO_INSTALLATION: Final = (
    "No gateway has run here yet: `gateway up` makes what is missing. "
    "GATEWAY_DATA_DIR names another data folder."
)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

_data_dir = click.option(
    "--data-dir",
    envvar="GATEWAY_DATA_DIR",
    metavar="FOLDER",
    help="Where data, secrets and logs lie. Default: a folder of this user's.",
)


class Duration(click.ParamType[float]):
    """A number with a unit: `30m`, `12h`, `90d`; converts to seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """`90d` → 7776000.0."""
        if isinstance(value, float):
            return value
        number, unit = str(value)[:-1], str(value)[-1:]
        if unit not in _SECONDS or not number.isdecimal() or int(number) == 0:
            self.fail(f"{value} is no duration like 30m, 12h or 90d.", param, ctx)
        return float(int(number) * _SECONDS[unit])


class Commands(click.Group):
    """The group; it adds the commands of other packages and turns our errors into one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Ours and theirs, by name."""
        return sorted({*super().list_commands(ctx), *_load_others()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Ours first: running one of them loads nothing else."""
        return super().get_command(ctx, cmd_name) or _load_others().get(cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run; an error of ours ends the program with its message and code 1."""
        try:
            return super().invoke(ctx)
        except SettingsInvalid as error:
            click.echo(f"gateway: {error}", err=True)
            if not any(name.startswith("GATEWAY_DATABASE_URL") for name in os.environ):
                click.echo(_NO_INSTALLATION, err=True)
            ctx.exit(1)
        except GatewayError as error:
            click.echo(f"gateway: {error}", err=True)
            ctx.exit(1)
        except PermissionError as error:
            where = f" {error.filename}" if error.filename else ""
            click.echo(f"gateway: This user may not use{where}: {error.strerror}.", err=True)
            ctx.exit(1)


@cache
def _load_others() -> dict[str, click.Command]:
    """The commands of other packages by name."""
    entries = entry_points(group="gateway.commands")
    return {command.name: command for entry in entries for command in entry.load()}


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="charger-gateway")
@click.pass_context
def main(ctx: click.Context) -> None:
    """A self-hosted gateway that provisions simulated EV chargers on demand."""
    if ctx.invoked_subcommand not in _INDEPENDENT:
        _adopt(None)
    if ctx.invoked_subcommand == "doctor":
        from app.embedded.elsewhere import adopt_running
        from app.embedded.folders import find_data_folder

        adopt_running(find_data_folder(), os.environ)


def _adopt(data_dir: str | None) -> None:
    """Settings that nobody gave come from the installation on this machine, if there is one."""
    from app.embedded.environment import adopt_secrets
    from app.embedded.folders import find_data_folder

    adopt_secrets(find_data_folder(data_dir) / "secrets", os.environ)


@main.command()
@_data_dir
@click.option("--host", default="127.0.0.1", envvar="GATEWAY_API_HOST", help="Address of the API.")
@click.option(
    "--port",
    envvar="GATEWAY_API_PORT",
    type=click.IntRange(0, 65_535),
    help="Port of the API; 0: any free one.",
)
@click.option(
    "--link-port",
    envvar="GATEWAY_LINK_PORT",
    type=click.IntRange(0, 65_535),
    help="Port that runtimes dial.",
)
@click.option("--flower-port", type=click.IntRange(0, 65_535), help="Port of Flower.")
@click.option("--free-ports", is_flag=True, help="Any free port for what has no option.")
@click.option(
    "--without",
    multiple=True,
    metavar="PART",
    help="Leave a part out (api, link, worker, beat, host, flower, migrate); repeatable.",
)
@click.option(
    "--runtime",
    type=click.Choice(["local", "docker", "ecs", "ecs-standin"]),
    help="Where new chargers run. Default: GATEWAY_RUNTIME, else local.",
)
@click.option("--verbose", is_flag=True, help="Show every program's log lines.")
def up(data_dir: str | None, host: str, free_ports: bool, **options: Any) -> None:
    """Run the whole gateway here, with its own PostgreSQL and Valkey."""
    from app.embedded.parts import OPTIONAL
    from app.embedded.ports import DEFAULTS
    from app.embedded.stack import UpOptions, run_stack

    if unknown := set(options["without"]) - set(OPTIONAL):
        raise click.BadParameter(f"There is no part {', '.join(unknown)}.", param_hint="--without")
    given = {
        "api": options["port"],
        "link": options["link_port"],
        "flower": options["flower_port"],
    }
    ports = {
        part: (0 if free_ports else DEFAULTS[part]) if port is None else port
        for part, port in given.items()
    }
    run_stack(
        UpOptions(
            data_dir=data_dir,
            host=host,
            ports=ports,
            without=frozenset(options["without"]),
            runtime=options["runtime"],
            verbose=options["verbose"],
        ),
        click.echo,
    )


@main.command()
@click.option("--url", help="A gateway that runs. Default: one is started for the occasion.")
@click.option("--token", envvar="GATEWAY_TOKEN", help="Its API token, or the file that holds it.")
@click.option("--csms", metavar="WS_URL", help="A CSMS. Default: the built-in one.")
def demo(url: str | None, token: str | None, csms: str | None) -> None:
    """Order a charger by REST and watch it until a CSMS has accepted it."""
    from app.embedded.demo import Stage, run_demo

    if url is None:
        if csms or token:
            raise click.UsageError("--token and --csms go with --url.")
        run_demo(None, click.echo)
        return
    if not token:
        raise click.UsageError("--url needs --token: a token, or the file that holds one.")
    is_file = "/" in token and Path(token).is_file()
    secret = Path(token).read_text().strip() if is_file else token
    run_demo(Stage(url, secret, csms), click.echo)


@main.command()
@_data_dir
@click.option(
    "--runtimes",
    type=click.Choice(["keep", "stop"]),
    help="What becomes of containers and tasks. Default: you are asked; without a terminal, keep.",
)
def down(data_dir: str | None, runtimes: str | None) -> None:
    """Stop the gateway that runs on a data folder; the data is kept."""
    from app.embedded.folders import find_data_folder
    from app.embedded.shutdown import count_elsewhere, stop_gateway

    data = find_data_folder(data_dir)
    if runtimes is None:
        _adopt(data_dir)
        runtimes = _ask_about_runtimes(count_elsewhere(data))
    stop_gateway(data, click.echo, evacuates=runtimes == "stop")


def _ask_about_runtimes(elsewhere: dict[str, int]) -> str:
    """`keep` or `stop`."""
    if not elsewhere:
        return "keep"
    counted = ", ".join(f"{number} on {provider}" for provider, number in elsewhere.items())
    click.echo(f"Chargers go on elsewhere while the gateway is down: {counted}.")
    if not sys.stdin.isatty():
        click.echo("They are kept; --runtimes stop ends them too.")
        return "keep"
    stops = click.confirm("End them too? They come back with the gateway.", default=False)
    return "stop" if stops else "keep"


@main.command()
@_data_dir
@click.pass_context
def status(ctx: click.Context, data_dir: str | None) -> None:
    """Show on one screen what runs and whether it answers; exit code 0 when all does."""
    from rich.console import Console

    from app.embedded.folders import find_data_folder
    from app.embedded.status import check_gateway, print_health

    data = find_data_folder(data_dir)
    _adopt(data_dir)
    health = check_gateway(data)
    print_health(health, Console(highlight=False, soft_wrap=True))
    ctx.exit(1 if health.problems else 0)


@main.command()
@_data_dir
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(data_dir: str | None, file: Path) -> None:
    """Write the database to FILE; the gateway may run meanwhile."""
    from app.embedded.backup import back_up
    from app.embedded.folders import find_data_folder

    data = find_data_folder(data_dir)
    back_up(data, file)
    click.echo(f"The database is in {file}. Secrets are not: they lie in {data / 'secrets'}.")


@main.command()
@_data_dir
@click.option("--replace", is_flag=True, help="Drop what the database holds now.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def restore(data_dir: str | None, replace: bool, file: Path) -> None:
    """Fill the database from FILE, made by `gateway backup`; the gateway must not run."""
    from app.embedded import backup as backups
    from app.embedded.folders import find_data_folder

    backups.restore(find_data_folder(data_dir), file, replace=replace)
    click.echo(f"The database was restored from {file}.")


@main.command()
@click.option("--revision", metavar="WHY", help="Write a new migration instead; read it well.")
def migrate(revision: str | None) -> None:
    """Bring the database to the newest schema."""
    from app.db import DatabaseAway, make_engine
    from app.settings import load_settings
    from migrations import upgrade

    engine = make_engine(load_settings().database_url, statement_timeout_s=600, name="migrate")
    try:
        upgrade(engine)
    except DatabaseAway as error:
        why = str(getattr(error, "orig", error)).splitlines()[0]
        raise DependencyDown(f"The database does not answer: {why}") from error
    if revision:
        click.echo(f"Read it well: {_write_revision(engine, revision)}")
    engine.dispose()


def _write_revision(engine: Engine, why: str) -> str:
    """What `app.models` has and the migrated database lacks, as a new file in `migrations/versions`."""
    from alembic import command
    from alembic.script import Script, ScriptDirectory

    from migrations import make_config

    with engine.connect() as connection:
        config = make_config(connection)
        number = len(list(ScriptDirectory.from_config(config).walk_revisions())) + 1
        made = command.revision(config, why, autogenerate=True, rev_id=f"{number:04}")
    assert isinstance(made, Script)  # noqa: S101  # one head, one file
    return str(made.path)


@main.command()
@_data_dir
@click.option("--organization", required=True, help="The tenant that the token belongs to.")
@click.option("--role", type=click.Choice(["user", "admin"]), default="user", show_default=True)
@click.option(
    "--ttl", type=Duration(), default="90d", show_default=True, help="Good for this long."
)
@click.option("--subject", default="operator", show_default=True, help="Who uses it.")
@click.option("--show", is_flag=True, help="Print the token instead of writing it to a file.")
def token(
    data_dir: str | None, organization: str, role: str, ttl: float, subject: str, show: bool
) -> None:
    """Make an API token; by default into a file that only you can read."""
    from app.embedded.folders import find_data_folder
    from app.embedded.tokenfiles import make_token, write_token
    from app.settings import load_settings

    _adopt(data_dir)
    secrets = load_settings().jwt_secrets
    made = make_token(secrets, organization, role=role, ttl_s=ttl, subject=subject)
    if show:
        click.echo(made)
    else:
        folder = find_data_folder(data_dir) / "tokens"
        click.echo(f"The token is in {write_token(folder, organization, role, made)}")


@main.command()
def api() -> None:
    """Run the REST API (gunicorn) in the foreground."""
    from app.api.serving import serve
    from app.settings import load_settings

    serve(load_settings())


@main.command()
def openapi() -> None:
    """Print the OpenAPI document of the API."""
    from app.api import create_app
    from app.api.openapi import render
    from app.settings import load_settings

    click.echo(json.dumps(render(create_app(load_settings())), indent=2, ensure_ascii=False))


@main.command()
def link() -> None:
    """Run the link that runtimes dial, in the foreground."""
    from app.link import run
    from app.settings import load_settings

    run(load_settings())


for _command in commands:
    main.add_command(_command)

if __name__ == "__main__":
    main()
