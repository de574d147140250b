"""Firmware updates and log uploads as timed scripts: which status comes when.

Nothing is downloaded or uploaded. The order of statuses, the waiting, the retries and the failures
are a real charger's, so a CSMS can be exercised with them. What decides the outcome is the
location:

- a scheme that the charger does not support, or a host under `.invalid` (RFC 2606: such a name
never
  resolves), cannot be transferred: the transfer fails, after the retries asked for;
- a file name with `corrupt` in it arrives and cannot be installed;
- a signed update without a PEM certificate, or with `unsigned` in its file name, fails its check.

Drive a script with `advance(now, busy=...)`: it returns the status to report, or None, and says in
`due` when to call again. Sources: OCPP 1.6 sections 4.4, 4.5, 7.24, 7.25; security whitepaper
sections 4 and 5; OCPP 2.0.1 part 2, sections L and N.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

#: How often an installation that waits for transactions to end looks again.
_BUSY_WAIT_S = 30.0
_REBOOT_WAIT_S = 3600.0
_SCHEMES = frozenset({"http", "https", "ftp", "ftps", "sftp"})


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the parts of a script take, in seconds."""

    download_s: float = 5.0
    verify_s: float = 1.0
    install_s: float = 5.0
    upload_s: float = 3.0


def parse_pace(settings: Mapping[str, Any]) -> Pace:
    """The pace from a charger's settings `firmware_download_s`, `firmware_verify_s`,
    `firmware_install_s` and `log_upload_s`; what is missing keeps its default."""
    names = {
        "download_s": "firmware_download_s",
        "verify_s": "firmware_verify_s",
        "install_s": "firmware_install_s",
        "upload_s": "log_upload_s",
    }
    return Pace(**{k: float(settings[name]) for k, name in names.items() if name in settings})


def can_transfer(location: str) -> bool:
    """Whether a transfer to or from this location works."""
    try:
        parts = urlsplit(location)
        host = parts.hostname or ""
    except ValueError:
        return False
    return parts.scheme.lower() in _SCHEMES and bool(host) and not host.endswith(".invalid")


def file_name(location: str) -> str:
    """The last part of a location's path."""
    try:
        return urlsplit(location).path.rpartition("/")[2]
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class FirmwareOrder:
    """What UpdateFirmware or SignedUpdateFirmware asked for. Times in epoch seconds."""

    location: str
    retrieve_at: float
    install_at: float | None = None
    request_id: int | None = None
    retries: int = 0
    retry_interval_s: float = 30.0
    #: The update has to be verified before it is installed.
    signed: bool = False
    certificate: str | None = None
    #: Whether the version has words for waiting (2.0.1 and the whitepaper).
    detailed: bool = False


class FirmwareUpdate:
    """One firmware update under way."""

    __slots__ = ("_attempts", "due", "order", "pace", "status")

    def __init__(self, order: FirmwareOrder, now: float, pace: Pace) -> None:
        self.order = order
        self.pace = pace
        #: The status reported last; `Idle` before the first.
        self.status = "Idle"
        #: When to call `advance` next; infinite once it is over.
        self.due = now
        self._attempts = order.retries + 1

    @property
    def is_over(self) -> bool:
        """Whether it ended, well or badly."""
        return math.isinf(self.due)

    @property
    def blocks_charging(self) -> bool:
        """Whether connectors are out of use while it is in this state."""
        return self.status in ("Installing", "InstallRebooting")

    def advance(self, now: float, *, busy: bool) -> str | None:
        """What to report now, or None. `busy`: a transaction runs, so nothing is installed yet."""
        if now < self.due:
            return None
        status = self._next(now, busy=busy)
        if status is None or status == self.status:
            return None
        self.status = status
        return status

    def cancel(self) -> None:
        """Another update takes its place."""
        self.due = math.inf

    def _next(self, now: float, *, busy: bool) -> str | None:
        if self.status in ("Idle", "DownloadScheduled"):
            return self._wait_or_download(now)
        if self.status == "Downloading":
            return self._finish_download(now)
        if self.status == "Downloaded" and self.order.signed:
            return self._verify(now)
        if self.status in ("Downloaded", "SignatureVerified", "InstallScheduled"):
            return self._wait_or_install(now, busy=busy)
        return self._finish_install(now)

    def _wait_or_download(self, now: float) -> str | None:
        if now < self.order.retrieve_at:
            self.due = self.order.retrieve_at
            return "DownloadScheduled" if self.order.detailed else None
        self.due = now + self.pace.download_s
        return "Downloading"

    def _finish_download(self, now: float) -> str | None:
        if can_transfer(self.order.location):
            self.due = now + self.pace.verify_s
            return "Downloaded"
        self._attempts -= 1
        if self._attempts > 0:
            self.due = now + self.order.retry_interval_s
            return None
        return self._end("DownloadFailed")

    def _verify(self, now: float) -> str:
        certificate = self.order.certificate
        is_pem = certificate is None or "-----BEGIN CERTIFICATE-----" in certificate
        if "unsigned" in file_name(self.order.location) or not is_pem:
            return self._end("InvalidSignature")
        self.due = now + self.pace.verify_s
        return "SignatureVerified"

    def _wait_or_install(self, now: float, *, busy: bool) -> str | None:
        at = self.order.install_at
        if busy or (at is not None and now < at):
            self.due = at if at is not None and at > now else now + _BUSY_WAIT_S
            return "InstallScheduled" if self.order.detailed else None
        self.due = now + self.pace.install_s
        return "Installing"

    def _finish_install(self, now: float) -> str:
        if "corrupt" in file_name(self.order.location):
            return self._end("InstallationFailed")
        if self.status == "Installing":
            # The reboot calls back; should none come, an hour is enough.
            self.due = now + _REBOOT_WAIT_S
            return "InstallRebooting"
        return self._end("Installed")

    def rebooted(self, now: float) -> None:
        """The reboot that InstallRebooting announced is over."""
        if self.status == "InstallRebooting":
            self.due = now

    def _end(self, status: str) -> str:
        self.due = math.inf
        return status


class LogUpload:
    """One diagnostics or log upload under way."""

    __slots__ = ("_attempts", "_interval", "_location", "_pace", "due", "request_id", "status")

    def __init__(
        self,
        location: str,
        now: float,
        pace: Pace,
        *,
        request_id: int | None = None,
        retries: int = 0,
        retry_interval_s: float = 30.0,
    ) -> None:
        self.request_id = request_id
        self.status = "Idle"
        self.due = now
        self._location = location
        self._pace = pace
        self._attempts = retries + 1
        self._interval = retry_interval_s

    @property
    def is_over(self) -> bool:
        """Whether it ended, well or badly."""
        return math.isinf(self.due)

    def advance(self, now: float) -> str | None:
        """What to report now: Uploading, then Uploaded or UploadFailed; or None."""
        if now < self.due:
            return None
        if self.status == "Idle":
            self.status = "Uploading"
            self.due = now + self._pace.upload_s
            return self.status
        if not can_transfer(self._location):
            self._attempts -= 1
            if self._attempts > 0:
                self.due = now + self._interval
                return None
        self.due = math.inf
        self.status = "Uploaded" if can_transfer(self._location) else "UploadFailed"
        return self.status
