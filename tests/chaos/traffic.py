"""Clients that create, start, stop, update and delete chargers, and remember what they asked for.

Each charger belongs to one thread, so its last accepted order is known. A request without an answer is sent again
(creates and actions under the same Idempotency-Key) until there is one: that is what the SDK's retries do.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

_TRY_S: Final = 0.3
_PATIENCE_S: Final = 120.0


@dataclass
class Wish:
    """What a client last asked of one charger."""

    identity: str
    organization: str
    charger_id: str
    #: `running`, `stopped` or `deleted`.
    state: str
    orders: int = 1
    ws_url: str = ""


@dataclass
class Traffic:
    """A few clients at once. `where` gives the present base URL: it changes when everything is restarted."""

    where: Callable[[], str]
    tokens: dict[str, str]
    ws_url: str
    seed: int
    target: int
    pace_s: float = 0.0
    prefix: str = "X"
    #: How often a client who has just ordered a start thinks better of it at once.
    haste: float = 0.0
    wishes: list[Wish] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    slowest_ms: float = 0.0

    def __post_init__(self) -> None:
        self._guard = threading.Lock()
        self._placed = 0
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"client-{number}", daemon=True)
            for number in range(4)
        ]
        self.failures: list[str] = []

    def start(self) -> None:
        """Begin to order."""
        for thread in self._threads:
            thread.start()

    def creates_only(self) -> None:
        """Every order is a create, one after another."""
        chance = random.Random(self.seed)
        with httpx.Client(timeout=15) as client:
            for number in range(self.target):
                self.wishes.append(self._create(client, chance, f"{self.prefix}-{number}"))

    def deletes_all(self) -> None:
        """Take every charger away again."""
        with httpx.Client(timeout=15) as client:
            for wish in self.wishes:
                self._delete(client, wish)

    def join(self) -> None:
        """Wait until every order is accepted."""
        for thread in self._threads:
            thread.join()

    @property
    def placed(self) -> int:
        """Orders accepted so far."""
        return self._placed

    def _take(self) -> bool:
        with self._guard:
            if self._placed >= self.target or self.failures:
                return False
            self._placed += 1
            return True

    def _run(self, number: int) -> None:
        chance = random.Random(f"{self.seed}-{number}")
        mine: list[Wish] = []
        with httpx.Client(timeout=15) as client:
            while self._take():
                try:
                    ordered = self._order(client, chance, mine, number)
                    if self._is_hasty(chance, ordered) and self._take():
                        self._think_better(client, chance, ordered)
                except Exception as mistake:
                    self.failures.append(f"{type(mistake).__name__}: {mistake}")
                    raise
                time.sleep(chance.uniform(0, 2 * self.pace_s))

    def _order(
        self, client: httpx.Client, chance: random.Random, mine: list[Wish], number: int
    ) -> Wish:
        alive = [wish for wish in mine if wish.state != "deleted"]
        if not alive or chance.random() < 0.4:
            mine.append(self._create(client, chance, f"{self.prefix}{number}-{len(mine)}"))
            self.wishes.append(mine[-1])
            return mine[-1]
        wish = chance.choice(alive)
        what = chance.choice(["start", "stop", "stop", "reset", "update", "delete"])
        getattr(self, f"_{what}")(client, wish)
        wish.orders += 1
        return wish

    def _is_hasty(self, chance: random.Random, wish: Wish) -> bool:
        return self.haste > 0 and wish.state == "running" and chance.random() < self.haste

    def _think_better(self, client: httpx.Client, chance: random.Random, wish: Wish) -> None:
        """A moment later, while the first order is on its way: stop it, or take it away."""
        time.sleep(chance.uniform(0, 0.8))
        getattr(self, chance.choice(["_stop", "_delete"]))(client, wish)
        wish.orders += 1

    def _create(self, client: httpx.Client, chance: random.Random, identity: str) -> Wish:
        organization = chance.choice(sorted(self.tokens))
        body = {
            "identity": identity,
            "brand_slug": "wallbox",
            "model_slug": "wallbox-pulsar-plus",
            "connector_type": "Type2",
            "ws_url": self.ws_url,
        }
        answer = self._send(client, organization, "POST", "/ocpp/chargers", body)
        return Wish(identity, organization, answer["charger_id"], "running", ws_url=self.ws_url)

    def _start(self, client: httpx.Client, wish: Wish) -> None:
        self._act(client, wish, "start-charger")
        wish.state = "running"

    def _reset(self, client: httpx.Client, wish: Wish) -> None:
        self._act(client, wish, "reset-charger")
        wish.state = "running"

    def _stop(self, client: httpx.Client, wish: Wish) -> None:
        self._act(client, wish, "stop-charger")
        wish.state = "stopped"

    def _update(self, client: httpx.Client, wish: Wish) -> None:
        wish.ws_url = f"{self.ws_url}?n={wish.orders}"
        path = f"/ocpp/chargers/{wish.charger_id}"
        self._send(client, wish.organization, "PUT", path, {"ws_url": wish.ws_url})

    def _delete(self, client: httpx.Client, wish: Wish) -> None:
        self._send(client, wish.organization, "DELETE", f"/ocpp/chargers/{wish.charger_id}")
        wish.state = "deleted"

    def _act(self, client: httpx.Client, wish: Wish, action: str) -> None:
        path = f"/ocpp/chargers/{wish.charger_id}/{action}"
        self._send(client, wish.organization, "POST", path, {})

    def _send(
        self, client: httpx.Client, organization: str, method: str, path: str, body: Any = None
    ) -> dict[str, Any]:
        """Send until there is an answer that is not 5xx."""
        headers = {
            "Authorization": f"Bearer {self.tokens[organization]}",
            "Idempotency-Key": str(uuid.uuid4()),
        }
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            began = time.monotonic()
            try:
                answer = client.request(method, self.where() + path, headers=headers, json=body)
            except (httpx.HTTPError, OSError, ValueError):
                self.counts["no answer"] += 1
            else:
                self.counts[f"{answer.status_code}"] += 1
                if answer.status_code < 400:
                    self.slowest_ms = max(self.slowest_ms, 1000 * (time.monotonic() - began))
                    parsed: dict[str, Any] = answer.json() if answer.content else {}
                    return parsed
                if answer.status_code < 500:
                    raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
            time.sleep(_TRY_S)
        raise AssertionError(f"{method} {path}: no answer in {_PATIENCE_S:.0f} s")
