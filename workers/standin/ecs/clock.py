"""The time of the stand-in: AWS seconds, which may pass faster than ours and be moved forward by hand."""

from __future__ import annotations

import time


class ScaledClock:
    """Epoch seconds. `scale` AWS seconds pass in one of ours."""

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._epoch = time.time()
        self._started = time.monotonic()

    @property
    def scale(self) -> float:
        """AWS seconds per second of ours."""
        return self._scale

    def now(self) -> float:
        """The moment, as AWS would tell it."""
        return self._epoch + (time.monotonic() - self._started) * self._scale

    def advance(self, seconds: float) -> None:
        """Let `seconds` AWS seconds have passed at once."""
        self._epoch += seconds

    def rescale(self, scale: float) -> None:
        """Let time pass at another rate from now on."""
        now = self.now()
        self._started = time.monotonic()
        self._epoch, self._scale = now, scale

    def to_real(self, seconds: float) -> float:
        """How long `seconds` AWS seconds take."""
        return seconds / self._scale
