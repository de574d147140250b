"""What an order is judged by: the catalog, the addresses that the operator allows, and the quota.

One `Policy` per process. The quota is exact to a few chargers: counting an organization's chargers for every
order would make creating slow just where there are many, so a count is trusted for a while, the shorter the
nearer the limit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from app.catalog import Catalog, Model, load_catalog
from app.errors import InvalidOrder, QuotaExceeded
from app.services.addresses import AllowList, CsmsAddress
from app.settings import Settings
from app.store import chargers as store

#: Other processes may order at the same time: this part of the room left is taken without counting again.
_SHARE: Final = 64
_TRUST_S: Final = 10.0
#: 1.6 carries the identity in fields of `CiString20Type` (OCPP 1.6 section 7.14).
_SHORT_IDENTITY: Final = 20


class Quota:
    """Live chargers that an organization may have."""

    def __init__(self, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        #: organization → (orders that need no count, until when)
        self._credit: dict[str, tuple[int, float]] = {}
        self._guard = threading.Lock()

    def take(self, session: Session, organization_id: str, number: int = 1) -> None:
        """Make room for `number` more. Raises `QuotaExceeded`."""
        now = self._clock()
        with self._guard:
            credit, until = self._credit.get(organization_id, (0, 0.0))
            if credit >= number and now < until:
                self._credit[organization_id] = (credit - number, until)
                return
        room = self._most - store.count_live(session, organization_id, most=self._most)
        if room < number:
            raise QuotaExceeded(
                f"The organization may have {self._most} chargers; there is room for {max(room, 0)} more.",
                limit=self._most,
            )
        with self._guard:
            if len(self._credit) > 10_000:
                self._credit.clear()
            self._credit[organization_id] = ((room - number) // _SHARE, now + _TRUST_S)


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that admits or refuses an order."""

    catalog: Catalog
    strict_catalog: bool
    addresses: AllowList
    quota: Quota

    def check_hardware(
        self, brand_slug: str, model_slug: str, connector_type: str, ocpp_version: str
    ) -> Model:
        """The model, when it is built like that. Raises a kind of `InvalidOrder`."""
        return self.catalog.check_order(
            brand_slug, model_slug, connector_type, ocpp_version, strict=self.strict_catalog
        )

    def check_address(
        self, ws_url: str, security_profile: int, authorization_key: str | None
    ) -> CsmsAddress:
        """The CSMS address, when it fits its security profile. Raises a kind of `InvalidOrder`.

        Profiles: OCPP 1.6 security whitepaper section 2, OCPP 2.0.1 part 2 section A: 1 is HTTP Basic, 2 adds TLS.
        """
        address = self.addresses.check(ws_url)
        if security_profile >= 1 and not authorization_key:
            raise _mismatch("security_profile 1 and 2 need an authorization_key.")
        if security_profile >= 2 and address.scheme != "wss":
            raise _mismatch("security_profile 2 needs a wss:// address.")
        return address


def make_policy(settings: Settings) -> Policy:
    """The policy that the settings ask for. Raises `SettingsInvalid` for a bad host pattern."""
    return Policy(
        load_catalog(),
        settings.catalog_strict,
        AllowList(settings.ws_allow),
        Quota(settings.org_max_chargers),
    )


def warn_about(identity: str, ocpp_version: str) -> list[str]:
    """What is allowed and may still surprise, as sentences."""
    if ocpp_version == "OCPP1.6" and len(identity) > _SHORT_IDENTITY:
        return [
            f"The identity has more than {_SHORT_IDENTITY} characters; "
            "some OCPP 1.6 systems do not take that."
        ]
    return []


def _mismatch(message: str) -> InvalidOrder:
    return InvalidOrder(message, code="security_profile_mismatch", param="security_profile")
