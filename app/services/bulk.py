"""Many chargers in one order: a durable job.

An order is one transaction: the job, its chargers, their runs and the job's own run are all there or none is.
What the workers do with it is `workers.runs.bulk`.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from app.errors import (
    GatewayError,
    InvalidField,
    InvalidOrder,
    JobNotFound,
    NotAllowedNow,
    UnknownBrand,
    UnknownModel,
    UnsupportedConnector,
    UnsupportedVersion,
)
from app.ids import make_charger_id, make_run_id, make_uuid7
from app.lifecycle import Status
from app.models import Charger, Job
from app.queue import Hints
from app.services.chargers import Place, choose_profile, describe
from app.services.locations import hold
from app.services.orders import make_job_run
from app.services.policy import Policy
from app.store import batches, hints, jobs
from app.workflows import Kind

#: Chargers that one order may ask for.
MAX_ORDER: Final = 10_000
#: Hex digits of a suffix that nobody chose.
SUFFIX_LENGTH: Final = 8
#: How often a random suffix that is taken is drawn again.
_DRAWS: Final = 8
JOB_TYPE: Final = "location_chargers_create"

_PARAMS: Final[dict[type[GatewayError], str]] = {
    UnknownBrand: "brand_slug",
    UnknownModel: "model_slug",
    UnsupportedConnector: "connector_type",
    UnsupportedVersion: "ocpp_version",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Equal chargers of one order; identity = `identity_prefix` + suffix, name = `template_name` + suffix."""

    brand_slug: str
    model_slug: str
    connector_type: str
    ws_url: str
    ocpp_version: str = "OCPP1.6"
    identity_prefix: str = ""
    template_name: str | None = None
    security_profile: int | None = None
    authorization_key: str | None = None
    #: Suffixes that the client chose, and how many chargers there are to be in all.
    suffixes: Sequence[str] = ()
    number: int | None = None
    #: Where the template stands in the request, for error messages.
    loc: tuple[str | int, ...] = ("body",)

    @property
    def chosen(self) -> Sequence[str]:
        """The client's suffixes, cut to the number."""
        return self.suffixes if self.number is None else self.suffixes[: self.number]

    @property
    def drawn(self) -> int:
        """How many suffixes are to be drawn at random."""
        return 0 if self.number is None else max(0, self.number - len(self.suffixes))


def order(
    session: Session,
    queue: Hints,
    policy: Policy,
    organization_id: str,
    location_id: uuid.UUID,
    groups: Sequence[Group],
) -> Job:
    """Order all chargers of the groups.

    An identity that is taken is reported by the job and fails nothing else. Raises `LocationNotFound`,
    `InvalidField` for a template that can never be carried out, `QuotaExceeded`.
    """
    place = hold(session, organization_id, location_id)
    total = sum(len(group.chosen) + group.drawn for group in groups)
    if not 1 <= total <= MAX_ORDER:
        raise InvalidField(f"One order may ask for 1 to {MAX_ORDER} chargers.", loc=("body",))
    for group in groups:
        _check_template(policy, group)
    policy.quota.take(session, organization_id, total)
    job_id = make_uuid7()
    job_run = make_job_run(job_id, organization_id)
    order_ = _Order(session, organization_id, place, job_id)
    order_.write(groups)
    job = Job(
        id=job_id,
        organization_id=organization_id,
        location_id=location_id,
        job_type=JOB_TYPE,
        status=Status.PENDING.value,
        workflow_run_id=job_run.id,
        total=total,
        refused=order_.refused,
    )
    session.add(job)
    session.flush()
    hint = hints.insert(session, job_run, cap=queue.cap)
    if hint is not None:
        queue.put(session, hint)
    return job


def _check_template(policy: Policy, group: Group) -> None:
    """Once for all chargers of the group; what is wrong with the template is wrong with each."""
    try:
        policy.check_hardware(
            group.brand_slug, group.model_slug, group.connector_type, group.ocpp_version
        )
        policy.check_address(group.ws_url, _choose_profile(group), group.authorization_key)
    except InvalidOrder as error:
        param = _PARAMS.get(type(error)) or str(error.extra.get("param", "ws_url"))
        raise InvalidField(error.message, loc=(*group.loc, param), kind=error.code) from None


def _choose_profile(group: Group) -> int:
    if group.security_profile is not None:
        return group.security_profile
    return choose_profile(group.ws_url, group.authorization_key)


class _Order:
    """Writes chargers and runs, and keeps what was refused."""

    def __init__(
        self, session: Session, organization_id: str, place: Place, job_id: uuid.UUID
    ) -> None:
        self._session = session
        self._organization_id = organization_id
        self._place = place
        self._job_id = job_id
        self._taken: set[str] = set()
        self.refused: list[dict[str, Any]] = []

    def write(self, groups: Sequence[Group]) -> None:
        """The chosen identities first: a drawn one makes way for them."""
        chosen = [charger for group in groups for charger in self._make_chosen(group)]
        born = self._insert(chosen)
        self._refuse([charger for charger in chosen if charger.id not in born])
        wanted = [group for group in groups for _ in range(group.drawn)]
        for _ in range(_DRAWS):
            drawn = [self._make(group, self._draw(group)) for group in wanted]
            born = self._insert(drawn)
            left = [pair for pair in zip(wanted, drawn, strict=True) if pair[1].id not in born]
            if not left:
                return
            wanted = [group for group, _ in left]
        self._refuse([charger for _, charger in left])

    def _make_chosen(self, group: Group) -> Iterator[Charger]:
        for suffix in group.chosen:
            identity = group.identity_prefix + suffix
            if identity in self._taken:
                message = f"The identity {identity} is in this order twice."
                self.refused.append(_fail(identity, message, "identity_repeated"))
            else:
                self._taken.add(identity)
                yield self._make(group, suffix)

    def _draw(self, group: Group) -> str:
        while True:
            suffix = secrets.token_hex(SUFFIX_LENGTH // 2)
            identity = group.identity_prefix + suffix
            if identity not in self._taken:
                self._taken.add(identity)
                return suffix

    def _make(self, group: Group, suffix: str) -> Charger:
        return Charger(
            organization_id=self._organization_id,
            identity=group.identity_prefix + suffix,
            name=group.template_name and f"{group.template_name} {suffix}",
            brand_slug=group.brand_slug,
            model_slug=group.model_slug,
            connector_type=group.connector_type,
            ocpp_version=group.ocpp_version,
            ws_url=group.ws_url,
            location_id=self._place.id,
            location_name=self._place.name,
            security_profile=_choose_profile(group),
            authorization_key=group.authorization_key,
            current_run_id=make_run_id(),
        )

    def _insert(self, chargers: Sequence[Charger]) -> set[str]:
        # Ids of one millisecond sort at random; lists are to show the order of the request.
        ids = sorted(make_charger_id() for _ in chargers)
        for charger, charger_id in zip(chargers, ids, strict=True):
            charger.id = charger_id
        born = batches.insert_chargers(
            self._session,
            chargers,
            organization_id=self._organization_id,
            location_id=self._place.id,
            job_id=self._job_id,
        )
        batches.insert_runs(
            self._session,
            [
                hints.NewRun(
                    Kind.PROVISION,
                    self._organization_id,
                    charger.identity,
                    charger_id=charger.id,
                    job_id=self._job_id,
                    id=str(charger.current_run_id),
                )
                for charger in chargers
                if charger.id in born
            ],
        )
        return born

    def _refuse(self, chargers: Sequence[Charger]) -> None:
        """Their identities are taken. One that has the same fields is named: it may be of a lost reply."""
        if not chargers:
            return
        live = batches.find_identities(
            self._session, self._organization_id, [charger.identity for charger in chargers]
        )
        for charger in chargers:
            message = f"The organization has a live charger with the identity {charger.identity}."
            known = live.get(charger.identity)
            same = known is not None and describe(known) == describe(charger)
            more = {"charger_id": known.id} if same and known else {}
            self.refused.append(_fail(charger.identity, message, "identity_taken") | more)


def _fail(identity: str, message: str, code: str) -> dict[str, Any]:
    return {"identity": identity, "error": message, "code": code}


def read_id(text: str) -> uuid.UUID:
    """The id of a job. Raises `JobNotFound` when it cannot be one."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise JobNotFound("No job with this id at this location.") from None


def cancel(
    session: Session,
    queue: Hints,
    organization_id: str,
    location_id: uuid.UUID,
    job_id: uuid.UUID,
) -> Job:
    """Cancel the children of a job that nobody has begun; the others finish. A repetition changes nothing.

    Raises `JobNotFound`, or `NotAllowedNow` when the job has ended.
    """
    job = jobs.get(session, organization_id, location_id, job_id, lock=True)
    if job.results is not None and job.cancelled_at is None:
        raise NotAllowedNow("The job has ended.")
    cancelled = jobs.cancel_unbegun(session, job)
    batches.ring_news(session, cancelled)
    for hint in hints.wake_job(session, job.id, cap=queue.cap):
        queue.put(session, hint)
    session.refresh(job)
    return job
