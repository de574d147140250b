"""An image that is pulled: nobody's slot is held for it, and everybody learns how it ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from docker import errors

from workers.runtimes.base import CapacityUnavailable, RuntimeRejected, RuntimeUnavailable
from workers.runtimes.docker_images import Images

PATIENCE_S = 20.0


class SlowEngine:
    """An engine whose pull goes on until the test lets it end."""

    def __init__(self, *, present: bool = False) -> None:
        self.present = present
        self.pulls: list[tuple[str, str]] = []
        self.fails_with: str | None = None
        self._progress_told = threading.Event()
        self._may_end = threading.Event()

    def inspect_image(self, reference: str) -> dict[str, str]:
        if not self.present:
            raise errors.ImageNotFound("no such image")
        return {"Id": "sha256:1"}

    def pull(self, repository: str, *, tag: str, stream: bool, decode: bool) -> Iterator[Any]:
        self.pulls.append((repository, tag))
        layer = {"id": "abc", "status": "Downloading"}
        yield {"status": "Pulling from sim", "id": tag}
        yield {**layer, "progressDetail": {"current": 12_000_000, "total": 48_000_000}}
        self._progress_told.set()
        assert self._may_end.wait(PATIENCE_S)
        if self.fails_with is not None:
            yield {"error": self.fails_with}
        self.present = True

    def is_under_way(self) -> None:
        """Wait until the first progress was told."""
        assert self._progress_told.wait(PATIENCE_S)

    def finishes(self) -> None:
        """Let the pull end."""
        self._may_end.set()

    def forgets(self) -> None:
        """The image is removed, and the next pull is slow again."""
        self.present = False
        self._may_end.clear()


def _fails_at_once(engine: SlowEngine, images: Images) -> None:
    with pytest.raises(CapacityUnavailable):
        images.ensure("sim:1")
    engine.is_under_way()


def test_an_image_that_is_there_is_not_pulled() -> None:
    engine = SlowEngine(present=True)
    assert Images(engine, policy="missing").ensure("sim:1") == "sha256:1"
    assert engine.pulls == []


def test_a_pull_gives_the_slot_back_and_tells_how_far_it_is() -> None:
    engine = SlowEngine()
    images = Images(engine, policy="missing", patience_s=0.0)
    _fails_at_once(engine, images)
    with pytest.raises(CapacityUnavailable) as wait:
        images.ensure("sim:1")
    assert wait.value.code == "image_pulling"
    assert "12 of 48 MB" in str(wait.value.hint)
    assert wait.value.retry_after_s is not None
    assert len(engine.pulls) == 1


def test_a_pull_that_ends_serves_everybody_who_waits() -> None:
    engine = SlowEngine()
    images = Images(engine, policy="missing", patience_s=0.0)
    _fails_at_once(engine, images)
    patient = Images(engine, policy="missing", patience_s=PATIENCE_S)
    engine.finishes()
    assert patient.ensure("sim:1") == "sha256:1"
    assert images.ensure("sim:1") == "sha256:1"


def test_a_pull_without_a_tag_asks_for_latest_alone() -> None:
    engine = SlowEngine()
    engine.finishes()
    Images(engine, policy="missing", patience_s=PATIENCE_S).ensure("registry:5000/sim")
    assert engine.pulls == [("registry:5000/sim", "latest")]


@pytest.mark.parametrize(
    ("said", "trouble"),
    [("manifest unknown", RuntimeRejected), ("unexpected EOF", RuntimeUnavailable)],
)
def test_a_pull_that_fails_is_told_once_and_then_begun_again(said: str, trouble: type) -> None:
    engine = SlowEngine()
    engine.fails_with = said
    engine.finishes()
    images = Images(engine, policy="missing", patience_s=PATIENCE_S)
    with pytest.raises(trouble, match=said):
        images.ensure("sim:1")
    engine.forgets()
    engine.fails_with = None
    engine.finishes()
    assert images.ensure("sim:1") == "sha256:1"


def test_always_pulls_again_but_not_for_each_of_a_thousand_chargers() -> None:
    engine = SlowEngine(present=True)
    engine.finishes()
    now = [1000.0]
    images = Images(engine, policy="always", patience_s=PATIENCE_S, clock=lambda: now[0])
    for _ in range(3):
        images.ensure("sim:1")
    assert len(engine.pulls) == 1
    now[0] += 3600
    images.ensure("sim:1")
    assert len(engine.pulls) == 2


def test_never_means_never() -> None:
    engine = SlowEngine()
    with pytest.raises(RuntimeRejected) as refusal:
        Images(engine, policy="never").ensure("sim:1")
    assert refusal.value.code == "image_not_found"
    assert engine.pulls == []
