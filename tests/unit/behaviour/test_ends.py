"""How a charger ends for good: with its last words when it never resumes, without any when it does."""

from __future__ import annotations

import pytest

from simulator.effects import Close
from tests.unit.behaviour.bench import Bench

versions = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])


def charging(version: str) -> Bench:
    bench = Bench(version)
    bench.do("start_transaction", id_tag="AABBCCDD")
    bench.wait(60)
    return bench


def end(bench: Bench, *, resumes: bool) -> None:
    bench.take(bench.charger.end(bench.now, resumes))


def closes(bench: Bench) -> list[int]:
    return [effect.code for effect in bench.effects if isinstance(effect, Close)]


def reasons(bench: Bench) -> list[str]:
    """Why each transaction that was told to be over is over."""
    infos = [p["transactionInfo"] for p in bench.said("TransactionEvent")]
    stopped = [info["stoppedReason"] for info in infos if "stoppedReason" in info]
    return stopped + [p["reason"] for p in bench.said("StopTransaction")]


@versions
def test_a_charger_that_never_resumes_ends_its_transaction_before_it_closes(version):
    bench = charging(version)
    end(bench, resumes=False)
    assert reasons(bench) == ["PowerLoss"]
    assert closes(bench) == [1000]
    assert bench.charger.next_wake() is None
    assert bench.charger.snapshot()["calls"] == []


@versions
def test_a_charger_that_resumes_goes_on_with_its_transaction(version):
    bench = charging(version)
    end(bench, resumes=True)
    assert (reasons(bench), closes(bench)) == ([], [1000])
    bench.restart()
    bench.wait(1)
    assert bench.shown()["status"] in ("Charging", "Occupied")
    bench.do("stop_transaction")
    assert reasons(bench) == ["Local"]


@versions
def test_a_csms_that_does_not_answer_delays_the_end_for_a_moment_only(version):
    bench = charging(version)
    bench.is_awake = False
    end(bench, resumes=False)
    assert (reasons(bench), closes(bench)) == (["PowerLoss"], [])
    bench.wait(2)
    assert closes(bench) == [1000]
    assert bench.charger.next_wake() is None


@versions
def test_a_connection_lost_during_the_last_words_is_not_opened_again(version):
    bench = charging(version)
    bench.is_awake = False
    end(bench, resumes=False)
    bench.lose()
    bench.is_reachable = True
    bench.wait(3600)
    assert (closes(bench), bench.charger.is_up) == ([], False)


@versions
def test_without_a_connection_or_a_transaction_the_end_waits_for_nobody(version):
    away = charging(version)
    away.lose()
    end(away, resumes=False)
    assert (reasons(away), away.charger.next_wake()) == ([], None)
    idle = Bench(version)
    idle.is_awake = False
    idle.do("proxy_message", action="heartbeat", payload={})
    end(idle, resumes=False)
    assert closes(idle) == [1000]
