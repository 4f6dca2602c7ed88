"""Progress for a log: where nobody watches a bar, a line every so often says how far the work is and what is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

EVERY_S = 20.0


class TimedLines:
    """Writes at most one line every `every_s` seconds, and one at the end, of one piece of work."""

    def __init__(
        self,
        console: Console,
        name: str,
        *,
        every_s: float = EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._name, self._every_s, self._clock = console, name, every_s, clock
        self._started = self._written = clock()
        self._ended = False

    def update(self, done: float, total: float, note: str = "") -> None:
        """Say that `done` of `total` is done, where it is time for a line."""
        now, whole = self._clock(), done >= total
        if self._ended and not whole:  # the same work once more, on another part
            self._started = self._written = now
            self._ended = False
        if self._ended or not (whole or now - self._written >= self._every_s):
            return
        self._written, self._ended = now, whole
        share = 1.0 if whole or total <= 0 else max(done, 0) / total
        elapsed = now - self._started
        if whole:
            left = f"took {in_words(elapsed)}"
        else:
            left = f"about {in_words(elapsed * (1 - share) / share)} left" if share > 0 else "just begun"
        words = ", ".join(part for part in (f"{100 * share:.0f} %", left, note) if part)
        self._console.print(f"{self._name}: {words}", markup=False, soft_wrap=True)


def in_words(seconds: float) -> str:
    """Return a duration as people say it, such as `40 s`, `12 min` or `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
