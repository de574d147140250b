"""Why the embedded stack cannot do what it was asked to; each message is one sentence for an operator.

CannotStart
├── FolderUnusable   the data folder cannot be made, entered or written
├── FolderBusy       another gateway, or what is left of one, holds the folder
├── OtherVersion     the folder holds data of another PostgreSQL major version
├── ServersMissing   no server binaries for this platform
├── PortTaken        another program listens there
└── ProgramFailed    a child ended, or never became ready
NotRunning           no gateway runs on this data folder
DemoFailed           the demonstration did not reach its end
"""

from __future__ import annotations

from app.errors import GatewayError


class CannotStart(GatewayError):
    """The embedded stack cannot start."""

    code = "cannot_start"


class FolderUnusable(CannotStart):
    """The data folder cannot be made, entered or written by who needs it."""

    code = "folder_unusable"


class FolderBusy(CannotStart):
    """Another gateway uses this data folder."""

    code = "folder_busy"


class OtherVersion(CannotStart):
    """The data folder was written by another major version of PostgreSQL."""

    code = "other_version"


class ServersMissing(CannotStart):
    """There are no PostgreSQL and Valkey binaries for this platform."""

    code = "servers_missing"


class PortTaken(CannotStart):
    """Another program listens on a port that was asked for."""

    code = "port_taken"


class ProgramFailed(CannotStart):
    """A child ended while starting, or did not become ready in time."""

    code = "program_failed"


class NotRunning(GatewayError):
    """No gateway runs on this data folder."""

    code = "not_running"


class CannotStop(GatewayError):
    """The gateway was asked to stop and did not."""

    code = "cannot_stop"


class DemoFailed(GatewayError):
    """The demonstration did not reach its end."""

    code = "demo_failed"
