"""Makes sure that the task definition is registered once, and removes those that nothing needs any more.

What was registered stands in a store that all workers share; a lock keeps two of them from registering at once
(ECS refuses that: "Too many concurrent attempts to create a new revision").
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from workers.runtimes.ecs_calls import EcsApi, EcsRefusal
from workers.runtimes.ecs_definition import (
    hash_definition,
    name_family,
    read_family_hash,
    render_definition,
)
from workers.runtimes.ecs_settings import EcsSettings
from workers.runtimes.ecs_verdicts import INACTIVE

log = logging.getLogger(__name__)

#: DeleteTaskDefinitions takes this many.
_DELETE_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Template:
    """A registered definition: what a row of `runtime_templates` says."""

    hash: str
    family: str
    #: With its revision.
    arn: str


class TemplateStore(Protocol):
    """Where templates are remembered for all workers. Each call is a transaction of its own."""

    def get(self, content_hash: str) -> Template | None:
        """The template of this content, if it was ever registered."""

    def put(self, template: Template) -> None:
        """Remember it, in place of an earlier one of the same hash."""

    def remove(self, content_hash: str) -> None:
        """Forget it; unknown is fine."""


#: `with lock(name):` holds a lock that every worker honours, on every machine.
Lock = Callable[[str], AbstractContextManager[object]]


class Templates:
    """The definitions of this installation."""

    def __init__(
        self,
        settings: EcsSettings,
        api: EcsApi,
        store: TemplateStore,
        lock: Lock,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._api = api
        self._store = store
        self._lock = lock
        self._clock = clock
        self._definition = render_definition(settings)
        self._hash = hash_definition(self._definition)
        self._family = name_family(settings.install_id, self._hash)
        self._trusted: Template | None = None
        self._trusted_until = 0.0

    def ensure(self) -> Template:
        """The template of today's settings, ACTIVE in ECS; registered now if it is not. Raises `EcsRefusal`."""
        trusted = self._trusted
        if trusted is not None and self._clock() < self._trusted_until:
            return trusted
        template = self._find_stored()
        if template is None:
            with self._lock(self._family):
                template = self._find_stored() or self._adopt() or self._register()
                self._store.put(template)
        self._trusted = template
        self._trusted_until = self._clock() + self._settings.definition_trust_s
        return template

    def doubt(self) -> None:
        """ECS says that the definition is not there: look again at the next `ensure`."""
        self._trusted = None

    def collect(self, keep: Collection[str]) -> int:
        """Deregister and delete definitions of this installation whose hash is not in `keep`.

        Today's is always kept. Tasks that still run from one go on. The number of revisions that went.
        """
        families = self._api.page(
            "ListTaskDefinitionFamilies",
            "families",
            familyPrefix=f"gw-{self._settings.install_id}-",
        )
        count = 0
        for family in list(families):
            content_hash = read_family_hash(self._settings.install_id, family)
            if content_hash is None or content_hash in keep or content_hash == self._hash:
                continue
            with self._lock(family):
                count += self._remove_family(family)
                self._store.remove(content_hash)
        return count

    def _find_stored(self) -> Template | None:
        template = self._store.get(self._hash)
        if template is None or self._describe(template.arn) is None:
            return None
        return template

    def _adopt(self) -> Template | None:
        """One that was registered although we never heard so: its family is named by its content."""
        found = self._describe(self._family)
        return None if found is None else Template(self._hash, self._family, found)

    def _describe(self, name: str) -> str | None:
        """The ARN of an ACTIVE definition."""
        try:
            answer = self._api.call("DescribeTaskDefinition", taskDefinition=name)
        except EcsRefusal as refusal:
            if refusal.verdict is INACTIVE:
                return None
            raise
        definition: dict[str, Any] = answer["taskDefinition"]
        is_active = definition.get("status") == "ACTIVE"
        return str(definition["taskDefinitionArn"]) if is_active else None

    def _register(self) -> Template:
        answer = self._api.call(
            "RegisterTaskDefinition",
            **self._definition,
            family=self._family,
            tags=[
                {"key": "gw:install", "value": self._settings.install_id},
                {"key": "gw:hash", "value": self._hash},
            ],
        )
        arn = str(answer["taskDefinition"]["taskDefinitionArn"])
        log.info("task definition registered", extra={"task_definition": arn})
        return Template(self._hash, self._family, arn)

    def _remove_family(self, family: str) -> int:
        for arn in list(self._list_revisions(family, "ACTIVE")):
            self._api.call("DeregisterTaskDefinition", taskDefinition=arn)
        inactive = list(self._list_revisions(family, "INACTIVE"))
        for start in range(0, len(inactive), _DELETE_MAX):
            chunk = inactive[start : start + _DELETE_MAX]
            self._api.call("DeleteTaskDefinitions", taskDefinitions=chunk)
        return len(inactive)

    def _list_revisions(self, family: str, status: str) -> Collection[str]:
        found = self._api.page(
            "ListTaskDefinitions", "taskDefinitionArns", familyPrefix=family, status=status
        )
        return list(found)
