"""Tasks one after another in this process: no workers, nothing to install."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

from nas.engines._base import Argument, Attempts, Failure, Result, Shared


class InProcessEngine:
    """Runs each task in turn."""

    slots = 1

    def __init__(self, notice: Callable[[str], None] = lambda message: None) -> None:
        self._notice = notice

    def map(
        self,
        function: Callable[[Shared, Argument], Result],
        arguments: Sequence[Argument],
        *,
        names: Sequence[str],
        shared: Shared,
        done: Callable[[int, Result], None] | None = None,
        timeout_s: float | None = None,
        lost: Callable[[int, Failure, bool], Result] | None = None,
        held: bool = False,
    ) -> list[Result]:
        """Return the results in the order of `arguments`; see `Engine.map`.

        A timeout interrupts Python code in the main thread of a POSIX process and nothing else; the other engines
        end the worker.
        """
        attempts = Attempts(names, self._notice)
        results: list[Result] = []
        for index, (argument, _) in enumerate(zip(arguments, names, strict=True)):
            while True:
                try:
                    with _time_limit(timeout_s):
                        result = function(shared, argument)
                except _TimedOut:
                    failure = Failure("timed out", f"not finished after {timeout_s:g} s")
                    given_up, replaced = attempts.lost(index, failure, lost)
                    if not given_up:
                        continue
                    result = replaced  # type: ignore[assignment]
                break
            results.append(result)
            if done is not None:
                done(index, result)
        return results

    def report(self, figures: Mapping[str, float]) -> None:
        """Do nothing: there is no dashboard."""

    def close(self) -> None:
        """Do nothing: there are no workers."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _TimedOut(BaseException):
    """Raised inside a task; no `except Exception` of the task catches it."""


@contextmanager
def _time_limit(seconds: float | None) -> Iterator[None]:
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _TimedOut

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
