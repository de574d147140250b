"""Who may charge when the CSMS cannot be asked, or need not be."""

from __future__ import annotations

import pytest

from simulator.tokens import Cache, Entry, Known, LocalList, Policy, UpdateStatus, decide, may_stop

NOW = 1000.0


def listed(*entries: Entry, version: int = 1) -> LocalList:
    local = LocalList()
    assert local.replace(version, entries, 100) is UpdateStatus.ACCEPTED
    return local


GOOD = listed(
    Entry("Good", Known(parent="FLEET")),
    Entry("Blocked", Known("Blocked")),
    Entry("Old", Known(expiry=NOW - 1)),
)


@pytest.mark.parametrize(
    ("token", "online", "policy", "action"),
    [
        ("good", True, {}, "ask"),
        ("GOOD", True, {"pre_authorize": True}, "accept"),
        ("Blocked", True, {"pre_authorize": True}, "ask"),
        ("Old", True, {"pre_authorize": True}, "ask"),
        ("Good", True, {"pre_authorize": True, "list_enabled": False}, "ask"),
        ("Good", False, {}, "accept"),
        ("Good", False, {"authorize_offline": False}, "refuse"),
        ("Blocked", False, {"unknown_offline": True}, "refuse"),
        ("Old", False, {}, "refuse"),
        ("Stranger", False, {}, "refuse"),
        ("Stranger", False, {"unknown_offline": True}, "accept"),
    ],
)
def test_list_and_policy_decide_together(token, online, policy, action):
    verdict = decide(token, NOW, online=online, policy=Policy(**policy), listed=GOOD, cache=None)
    assert verdict.action == action


def test_the_list_goes_before_the_cache():
    cache = Cache()
    cache.put("Blocked", Known(), NOW)
    verdict = decide("Blocked", NOW, online=False, policy=Policy(), listed=GOOD, cache=cache)
    assert verdict.action == "refuse"


def test_the_cache_forgets_by_age_by_size_and_when_told():
    cache = Cache(capacity=2)
    for number, token in enumerate("ABC"):
        cache.put(token, Known(), NOW + number)
    assert cache.get("A", NOW) is None
    assert cache.get("b", NOW) == Known()
    assert cache.get("C", NOW + 12, life_time=10) is None
    assert cache.clear() == 2
    assert cache.get("B", NOW) is None


def test_a_full_list_replaces_and_a_differential_one_changes():
    local = listed(Entry("A", Known()), Entry("B", Known()), version=5)
    changes = [Entry("a", None), Entry("C", Known())]
    assert local.merge(6, changes, 100) is UpdateStatus.ACCEPTED
    assert sorted(e.token for e in local.entries()) == ["B", "C"]
    assert local.replace(2, [Entry("D", Known())], 100) is UpdateStatus.ACCEPTED
    assert ([e.token for e in local.entries()], local.version) == (["D"], 2)


def test_a_differential_version_has_to_grow():
    local = listed(Entry("A", Known()), version=5)
    assert local.merge(5, [], 100) is UpdateStatus.VERSION_MISMATCH
    assert local.version == 5


def test_a_bad_update_changes_nothing():
    local = listed(Entry("A", Known()), version=5)
    twice = [Entry("X", Known()), Entry("x", Known())]
    assert local.replace(6, twice, 100) is UpdateStatus.FAILED
    assert local.merge(6, twice, 100) is UpdateStatus.FAILED
    assert local.merge(6, [Entry("B", Known())], 1) is UpdateStatus.FAILED
    assert ([e.token for e in local.entries()], local.version) == (["A"], 5)


def test_a_list_comes_back_from_what_was_kept():
    again = LocalList()
    again.load(GOOD.dump())
    assert again.entries() == GOOD.entries()
    assert again.version == GOOD.version


def test_the_same_token_or_its_group_ends_a_transaction():
    assert may_stop("Tag", None, "TAG", None)
    assert may_stop("Tag", "fleet", "Other", Known(parent="FLEET"))
    assert not may_stop("Tag", None, "Other", Known(parent=None))
    assert not may_stop("Tag", "fleet", "Other", Known(parent="other"))
