"""What the children of `gateway up` find in their environment: our own, completed where nobody said otherwise.

Secrets go by file (`GATEWAY_..._FILE`), so that `ps` and `/proc` show paths only. The same files let the other
commands (`gateway token`, `doctor`, `backup`, ...) work beside a running gateway without any setting.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from pathlib import Path

from app.embedded.credentials import Keyring

#: Settings that hold secrets, and the file in `secrets/` that serves each.
_SECRET_FILES: Mapping[str, str] = {
    "GATEWAY_DATABASE_URL": "database_url",
    "GATEWAY_BROKER_URL": "broker_url",
    "GATEWAY_JWT_SECRETS": "jwt_secrets",
    "GATEWAY_LINK_SECRET": "link_secret",
}


def is_given(name: str, environ: Mapping[str, str]) -> bool:
    """Whether somebody set this, by value or by file."""
    return bool(environ.get(name) or environ.get(f"{name}_FILE"))


def read_given(name: str, environ: Mapping[str, str]) -> str:
    """What somebody set, by value or by file; empty when nobody did."""
    file = environ.get(f"{name}_FILE")
    return Path(file).read_text().strip() if file else environ.get(name, "")


def adopt_secrets(secrets: Path, environ: MutableMapping[str, str]) -> None:
    """Point settings that nobody gave to the files of an installation, where it has them."""
    for name, file in _SECRET_FILES.items():
        if not is_given(name, environ) and (secrets / file).is_file():
            environ[f"{name}_FILE"] = str(secrets / file)
    install_id = secrets / "install_id"
    if not is_given("GATEWAY_INSTALL_ID", environ) and install_id.is_file():
        environ["GATEWAY_INSTALL_ID"] = install_id.read_text()


def make_environment(
    environ: Mapping[str, str], *, keyring: Keyring, host: str, ports: Mapping[str, int]
) -> dict[str, str]:
    """The environment of our own programs; makes the secrets that are missing.

    The children work in `/`, so relative paths of files are made absolute.
    """
    made = {name: _make_absolute(name, value) for name, value in environ.items()}
    keyring.get_jwt_secrets()
    keyring.get_link_secret()
    keyring.get_install_id()
    adopt_secrets(keyring.folder, made)
    made |= {
        "GATEWAY_API_HOST": host,
        "GATEWAY_API_PORT": str(ports["api"]),
        "GATEWAY_LINK_PORT": str(ports["link"]),
        "PYTHONUNBUFFERED": "1",
    }
    made.setdefault("GATEWAY_BASE_URL", f"http://{get_reachable(host)}:{ports['api']}")
    made.setdefault("GATEWAY_LINK_HOST", "127.0.0.1")
    made.setdefault("GATEWAY_LINK_URL", f"ws://127.0.0.1:{ports['link']}/link")
    return made


def get_reachable(host: str) -> str:
    """Where a server that listens on `host` is reached from this machine, as it stands in a URL."""
    reachable = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # a look-up
    return f"[{reachable}]" if ":" in reachable else reachable


def _make_absolute(name: str, value: str) -> str:
    ours = name.startswith(("GATEWAY_", "SIMULATOR_"))
    return str(Path(value).absolute()) if ours and name.endswith("_FILE") and value else value
