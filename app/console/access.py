"""Which gateway a command talks to, and as whom.

The gateway on this machine needs no options: its address is in its state file, and whoever can read its secrets
may make a token. Another one is named by `--url` and `--token` (or `GATEWAY_URL` and `GATEWAY_TOKEN`).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from app.console.client import CallFailed, Client

#: Tokens that a command makes for itself are good for this long, seconds.
_TOKEN_S: Final = 3600.0
_DEFAULT_ORGANIZATION: Final = "default"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Door:
    """What was said on the command line."""

    url: str | None
    token: str | None
    organization: str | None
    data_dir: str | None

    @property
    def whose(self) -> str:
        """An organization that nobody chose is worth saying where a list is empty."""
        chosen = self.organization or self.token
        return "" if chosen else f" of the organization `{_DEFAULT_ORGANIZATION}` (--organization)"

    def open(self, *, admin: bool = False) -> Client:
        """A client. `admin`: for what only an operator may do, and to see every organization.

        Raises `CallFailed` when nothing says where the gateway is or who asks.
        """
        url = self.url or self._find_url()
        if self.token is not None:
            return Client(url, _read_token(self.token), self.organization)
        if self.url is not None:
            raise CallFailed("--url needs --token: a token, or the file that holds one.")
        if admin:
            return Client(url, self._make_token("operator", "admin"), self.organization)
        organization = self.organization or _DEFAULT_ORGANIZATION
        return Client(url, self._make_token(organization, "user"), organization)

    def _find_url(self) -> str:
        from app.embedded.folders import find_data_folder
        from app.embedded.state import read_state

        folder = find_data_folder(self.data_dir)
        state = read_state(folder / "state.json")
        if state is not None:
            return state.api_address
        if "GATEWAY_BASE_URL" in os.environ:
            return os.environ["GATEWAY_BASE_URL"]
        raise CallFailed(f"No gateway has run on {folder}; say --url, or run `gateway up`.")

    def _make_token(self, organization: str, role: str) -> str:
        from app.embedded.environment import adopt_secrets
        from app.embedded.folders import find_data_folder
        from app.embedded.tokenfiles import make_token
        from app.settings import load_settings

        adopt_secrets(find_data_folder(self.data_dir) / "secrets", os.environ)
        return make_token(load_settings().jwt_secrets, organization, ttl_s=_TOKEN_S, role=role)


def _read_token(given: str) -> str:
    """A token as it is, or out of the file that holds it."""
    is_file = "/" in given and Path(given).is_file()
    return Path(given).read_text(encoding="ascii").strip() if is_file else given


def door_options(command: F) -> F:
    """The options of a `Door`, which the command gets as its first argument, and `--json`."""

    @click.option("--url", envvar="GATEWAY_URL", help="The gateway. Default: the one here.")
    @click.option(
        "--token", envvar="GATEWAY_TOKEN", help="An API token, or the file that holds it."
    )
    @click.option(
        "--organization", "-o", envvar="GATEWAY_ORGANIZATION", help="Whose. Default: `default`."
    )
    @click.option("--data-dir", envvar="GATEWAY_DATA_DIR", metavar="FOLDER", help="As of `up`.")
    @click.option("--json", "as_json", is_flag=True, help="Print what the API answered.")
    @functools.wraps(command)
    def with_door(
        *args: Any,
        url: str | None,
        token: str | None,
        organization: str | None,
        data_dir: str | None,
        **options: Any,
    ) -> Any:
        return command(Door(url, token, organization, data_dir), *args, **options)

    return with_door  # type: ignore[return-value]  # click's decorators change no signature we rely on
