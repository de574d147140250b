"""The simulator's image: there already, or being pulled.

A pull may take minutes, longer than a worker's slot should be held. So it runs in a thread of its own, and whoever
needs the image waits a moment and is then told to come again, with the progress as the hint; the engine joins
pulls of the same layers by several processes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import requests
from docker import errors
from docker.utils import parse_repository_tag

from workers.runtimes.base import CapacityUnavailable, RuntimeTrouble
from workers.runtimes.docker_verdicts import (
    IMAGE_NOT_FOUND,
    classify_call,
    classify_pull,
    make_trouble,
)

#: How long a step waits for a pull before it gives its slot back, seconds.
_PATIENCE_S: Final = 5.0
_LOOK_AGAIN_S: Final = 3.0
#: With `always`, an image that was pulled this recently is not asked for again, seconds.
_FRESH_S: Final = 60.0
_MB: Final = 1_000_000


class Images:
    """Makes sure that one image is on the engine's machine."""

    def __init__(
        self,
        client: Any,
        *,
        policy: str,
        patience_s: float = _PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`client`: a low-level `docker.APIClient`; `policy`: `missing`, `always` or `never`."""
        self._client = client
        self._policy = policy
        self._patience_s = patience_s
        self._clock = clock
        self._guard = threading.Lock()
        self._pulls: dict[str, _Pull] = {}
        self._pulled_at: dict[str, float] = {}

    def ensure(self, reference: str) -> str:
        """The image's id (`sha256:...`), once it is there.

        Raises `CapacityUnavailable` while it is being pulled, `RuntimeRejected` when it does not exist or is
        denied, `RuntimeUnavailable` when engine or registry do not answer.
        """
        present = self._inspect(reference)
        if present is not None and not self._is_stale(reference):
            return present
        if self._policy == "never":
            raise make_trouble(IMAGE_NOT_FOUND, f"no such image: {reference}")
        self._await_pull(reference)
        present = self._inspect(reference)
        if present is None:
            raise make_trouble(IMAGE_NOT_FOUND, f"{reference} was pulled and is not there")
        return present

    def _inspect(self, reference: str) -> str | None:
        try:
            return str(self._client.inspect_image(reference)["Id"])
        except errors.ImageNotFound:
            return None
        except (errors.DockerException, requests.RequestException, OSError) as error:
            raise classify_call(error) from error

    def _is_stale(self, reference: str) -> bool:
        if self._policy != "always":
            return False
        pulled_at = self._pulled_at.get(reference)
        return pulled_at is None or self._clock() - pulled_at > _FRESH_S

    def _await_pull(self, reference: str) -> None:
        with self._guard:
            pull = self._pulls.get(reference)
            if pull is None:
                pull = self._pulls[reference] = _Pull(self._client, reference)
                pull.start()
        if not pull.ended.wait(self._patience_s):
            raise CapacityUnavailable(
                f"The image {reference} is being pulled.",
                code="image_pulling",
                hint=f"The simulator's image is being pulled: {pull.describe()}.",
                retry_after_s=_LOOK_AGAIN_S,
            )
        with self._guard:
            self._pulls.pop(reference, None)
        if pull.trouble is not None:
            raise pull.trouble
        self._pulled_at[reference] = self._clock()


class _Pull(threading.Thread):
    """One pull under way."""

    def __init__(self, client: Any, reference: str) -> None:
        super().__init__(name=f"pull {reference}", daemon=True)
        self._client = client
        self._reference = reference
        #: Layer → (bytes here, bytes altogether).
        self._layers: dict[str, tuple[int, int]] = {}
        self.ended = threading.Event()
        self.trouble: RuntimeTrouble | None = None

    def run(self) -> None:
        """Pull; what goes wrong is kept for whoever asks."""
        try:
            # Without a tag the engine would fetch every one.
            repository, tag = parse_repository_tag(self._reference)
            lines = self._client.pull(repository, tag=tag or "latest", stream=True, decode=True)
            self._follow(lines)
        except Exception as error:  # noqa: BLE001  # told to the next who asks
            self.trouble = classify_pull(error)
        finally:
            self.ended.set()

    def _follow(self, lines: Iterable[Mapping[str, Any]]) -> None:
        for line in lines:
            if "error" in line:
                raise RuntimeError(str(line["error"]))
            detail = line.get("progressDetail") or {}
            if "id" in line and "total" in detail:
                self._layers[str(line["id"])] = (
                    int(detail.get("current", 0)),
                    int(detail["total"]),
                )

    def describe(self) -> str:
        """`12 of 48 MB`, or that nothing is known yet."""
        layers = list(self._layers.values())
        if not layers:
            return "the registry was asked"
        here, total = (sum(part) / _MB for part in zip(*layers, strict=True))
        return f"{here:.0f} of {total:.0f} MB of the layers begun so far"
