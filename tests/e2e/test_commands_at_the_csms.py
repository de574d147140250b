"""Each of the 18 commands, both OCPP versions: the frames that it causes, as the CSMS has them in its books.

One gateway, one CSMS, and a charger of each version side by side, told what to do over HTTP. The tables are
tests/command_cases.py and tests/proxy_cases.py; `Site` is what a client orders and what the CSMS saw.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.schemas.commands import PROXY_ACTIONS
from tests.command_cases import CASES, V16, V201, Case, Words
from tests.gateways import Gateway, eventually
from tests.judges import Judge
from tests.proxy_cases import PROXIES

#: A model of the catalog that speaks both versions.
HARDWARE = {"brand_slug": "alpitronic", "model_slug": "hyc400", "connector_type": "CCS2"}
#: Operations whose path is not their name.
PATHS = {
    "set_configuration": "configuration",
    "reset_auth_cache": "cache/reset",
    "send_local_list": "local-auth-list",
    "clear_local_list": "clear-local-auth-list",
}
VERSIONS = (V16, V201)
#: The identity of each version's charger.
NAMES = {V16: "TABLE-16", V201: "TABLE-201"}


class Site:
    """The chargers of this module: told what to do over HTTP, and looked at from the CSMS."""

    def __init__(self, client: httpx.Client, judge: Judge) -> None:
        self._client, self._judge = client, judge
        self._ids: dict[str, str] = {}
        self._marks = itertools.count(1)

    def comes_up(self) -> None:
        """Order both chargers and wait until they are online."""
        for version in VERSIONS:
            order = {"identity": NAMES[version], "ocpp_version": version, **HARDWARE}
            made = self._client.post("/ocpp/chargers", json={**order, "ws_url": self._judge.ws_url})
            assert made.status_code == 202, made.text
            self._ids[version] = made.json()["charger_id"]
        for charger_id in self._ids.values():
            url = f"/ocpp/chargers/{charger_id}/status"
            eventually(
                lambda url=url: (
                    self._client.get(url, params={"wait": 20}).json()["status"] == "READY"
                ),
                "the charger is READY",
            )

    def goes(self) -> None:
        """Delete both."""
        for charger_id in self._ids.values():
            self._client.delete(f"/ocpp/chargers/{charger_id}")

    def asks(self, version: str, name: str, event: Mapping[str, Any]) -> httpx.Response:
        """One operation of the commands API."""
        return self._client.post(
            f"/ocpp/commands/{PATHS.get(name, name.replace('_', '-'))}",
            json={"target": {"charger_id": self._ids[version]}, "event": dict(event)},
        )

    def orders(self, version: str, words: Words) -> dict[str, Any]:
        """Order a command and wait until it was carried out: what the charger said of it."""
        response = self.asks(version, *words)
        answer: dict[str, Any] = response.json()
        if response.status_code == 200:
            return answer
        assert response.status_code == 202, response.text
        assert (answer["queued_count"], answer["failed"]) == (1, [])
        ended = self.ends(answer["results"][0]["command"]["id"])
        assert ended["state"] == "applied", ended
        return dict(ended["result"])

    def ends(self, command_id: str) -> dict[str, Any]:
        """Wait for a command's end; what became of it."""

        def look() -> dict[str, Any] | None:
            told: dict[str, Any] = self._client.get(f"/ocpp/commands/{command_id}").json()
            return told if told["finished_at"] else None

        ended: dict[str, Any] = eventually(look, f"command {command_id} ended")
        return ended

    def marks(self, version: str) -> int:
        """Let the charger send a mark: how many calls the CSMS had when it came.

        Calls go one by one in their order, so all that older orders caused came before it.
        """
        event = {
            "action": "data_transfer",
            "ocpp_version": version.lower(),
            "payload": {"vendor_id": "mark", "message_id": str(next(self._marks))},
        }
        response = self.asks(version, "proxy_message", event)
        assert self.ends(response.json()["id"])["state"] == "applied"
        return len(self.list_calls(version))

    def list_calls(self, version: str, begin: int = 0) -> list[Words]:
        """(action, payload) of the charger's calls, oldest first, from the one with this number on."""
        frames = self._judge.report(NAMES[version])["frames"]
        said = [json.loads(one["text"]) for one in frames if one["direction"] == "u"]
        return [(one[2], one[3]) for one in said if one[0] == 2][begin:]

    def csms_asks(self, version: str, words: Words) -> dict[str, Any]:
        """A call of the CSMS; the charger's answer."""
        told = self._judge.sends(NAMES[version], words[0], json.dumps(words[1]))
        answer: dict[str, Any] = told["answer"]
        return answer

    def list_offences(self, version: str) -> list[str]:
        """What the charger did against the rules."""
        return [one["sentence"] for one in self._judge.report(NAMES[version])["offences"]]


@pytest.fixture(scope="module")
def site(gateway: Gateway, judge: Judge) -> Iterator[Site]:
    state = gateway.read_state()
    headers = {"Authorization": f"Bearer {Path(state['token_file']).read_text().strip()}"}
    with httpx.Client(base_url=state["base_url"], headers=headers, timeout=30) as client:
        site = Site(client, judge)
        site.comes_up()
        yield site
        site.goes()


def holds(whole: Any, part: Any) -> bool:
    """Whether all of `part` is in `whole`; of a list, each item somewhere in the other."""
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(
            name in whole and holds(whole[name], value) for name, value in part.items()
        )
    if isinstance(part, list):
        return isinstance(whole, list) and all(any(holds(w, p) for w in whole) for p in part)
    return bool(part == whole)


def comes_in_order(calls: list[Words], wanted: tuple[Words, ...]) -> bool:
    """Whether the calls hold these, in this order, perhaps with others between."""
    rest = iter(calls)
    return all(
        any(action == words[0] and holds(payload, words[1]) for action, payload in rest)
        for words in wanted
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.about)
def test_a_command_is_seen_at_the_csms_in_both_versions(site: Site, case: Case) -> None:
    # Side by side: the two do not wait for each other's clocks.
    with ThreadPoolExecutor(len(VERSIONS)) as both:
        list(both.map(lambda version: go_through(site, version, case), VERSIONS))


def go_through(site: Site, version: str, case: Case) -> None:
    """One case at the charger of one version."""
    for words in case.before:
        site.orders(version, words)
    mark = site.marks(version)
    try:
        result = site.orders(version, case.order)
        assert holds(result, case.result), result
        for words in case.then:
            site.orders(version, words)
        sees(site, version, mark, case)
    finally:
        for words in case.after:
            site.orders(version, words)
    assert site.list_offences(version) == []


def sees(site: Site, version: str, mark: int, case: Case) -> None:
    """The CSMS has what the case says, since the mark."""
    frames, asked = (case.on16, case.asks16) if version == V16 else (case.on201, case.asks201)
    try:
        eventually(
            lambda: comes_in_order(site.list_calls(version, mark), frames), f"{version}: {frames}"
        )
    except AssertionError as never:
        raise AssertionError(f"{never}; it saw {site.list_calls(version, mark)}") from None
    assert not {action for action, _ in site.list_calls(version, mark)} & set(case.unseen)
    if asked is not None:
        assert holds(site.csms_asks(version, asked.words), asked.answer)


def test_the_table_has_every_operation_of_both_versions() -> None:
    named = {case.order[0] for case in CASES}
    assert len(named | {"proxy_message"}) == 18
    for version in VERSIONS:
        can = {name for name, versions in PROXY_ACTIONS.items() if version.lower() in versions}
        assert set(PROXIES[version]) == can


@pytest.mark.parametrize(
    ("version", "action"),
    [(version, action) for version, actions in PROXIES.items() for action in actions],
)
def test_a_message_by_hand_is_seen_at_the_csms(site: Site, version: str, action: str) -> None:
    payload, sent, spelled = PROXIES[version][action]
    before = len(site.list_calls(version))
    event = {"action": action, "ocpp_version": version.lower(), "payload": payload}
    response = site.asks(version, "proxy_message", event)
    assert (response.status_code, response.json()["event_type"]) == (202, action)
    assert site.ends(response.json()["id"])["state"] == "applied"
    assert (sent, spelled) in site.list_calls(version, before)
    assert site.list_offences(version) == []


@pytest.mark.parametrize(
    ("version", "action"),
    [
        (version, action)
        for version in VERSIONS
        for action, versions in PROXY_ACTIONS.items()
        if version.lower() not in versions
    ],
)
def test_a_message_that_a_version_does_not_have_is_refused_in_words(
    site: Site, version: str, action: str
) -> None:
    event = {"action": action, "ocpp_version": version.lower(), "payload": {}}
    refused = site.asks(version, "proxy_message", event)
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["msg"] == f"Not a message of {version.lower()}."


@pytest.mark.parametrize(("version", "other"), [(V16, V201), (V201, V16)])
def test_a_message_of_the_other_version_is_refused_in_words(
    site: Site, version: str, other: str
) -> None:
    event = {"action": "heartbeat", "ocpp_version": other.lower(), "payload": {}}
    refused = site.asks(version, "proxy_message", event)
    assert (refused.status_code, refused.json()["code"]) == (400, "ocpp_version_mismatch")
    assert refused.json()["detail"] == f"The charger speaks {version.lower()}."


@pytest.mark.parametrize("version", VERSIONS)
def test_a_message_that_breaks_its_schema_is_not_sent(site: Site, version: str) -> None:
    before = len(site.list_calls(version))
    event = {"action": "status_notification", "ocpp_version": version.lower(), "payload": {"x": 1}}
    ended = site.ends(site.asks(version, "proxy_message", event).json()["id"])
    assert ended["state"] == "rejected"
    assert re.match("The payload is not a StatusNotification: ", ended["error"]["message"])
    assert "StatusNotification" not in [action for action, _ in site.list_calls(version, before)]
