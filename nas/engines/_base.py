"""The one interface of every engine, and what is said of a task that was lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, TypeVar

Shared = TypeVar("Shared")
Argument = TypeVar("Argument")
Result = TypeVar("Result")

ATTEMPTS = 4
"""How often a task is started before its workers' deaths are taken to be its own fault."""


@dataclass(frozen=True)
class Failure:
    """Why a task gave no result: `kind` is one of died, timed out, raised, out of memory, not a number."""

    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class Engine(Protocol):
    """Runs independent tasks. A context manager: leaving it releases workers."""

    @property
    def slots(self) -> int:
        """How many tasks run at the same time."""
        ...

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
        """Return `[function(shared, argument) for argument in arguments]`.

        `function` is a module-level function and depends on nothing but its two arguments, so that a task can be
        repeated when the worker that ran it dies. `shared` travels to each worker once; with `held` the workers keep
        it from one call to the next, for weights. `names` label the tasks for people (Ray's dashboard shows them).
        `done(index, result)` is called in this process as each one finishes. An exception of the function itself
        stops the rest and is raised here unchanged.

        A task whose worker died or that ran longer than `timeout_s` seconds is started again, `ATTEMPTS` times in
        all. `lost(index, failure, last)` is told each time, and after the last gives the result in its place; without
        it RuntimeError is raised.
        """
        ...

    def report(self, figures: Mapping[str, float]) -> None:
        """Show figures of the job, by name, where the engine shows such: Ray's metrics. Elsewhere nothing happens."""
        ...

    def close(self) -> None:
        """Release the workers; a second call does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Attempts:
    """Counts how often each task of one `map` was lost, and says when one is given up."""

    def __init__(self, names: Sequence[str], notice: Callable[[str], None]) -> None:
        self._names, self._notice = names, notice
        self._lost: dict[int, int] = {}

    def lost(
        self, index: int, failure: Failure, told: Callable[[int, Failure, bool], Result] | None
    ) -> tuple[bool, Result | None]:
        """Note a loss; return whether the task is given up and, if so, the result in its place.

        Raises RuntimeError when it is given up and nobody is there to be told.
        """
        count = self._lost[index] = self._lost.get(index, 0) + 1
        last = count >= ATTEMPTS
        if last and told is None:
            raise RuntimeError(f"{self._names[index]!r} was lost {count} times; the last time it {failure}")
        result = told(index, failure, last) if told is not None else None
        what = f"{self._names[index]!r} {failure}"
        self._notice(f"{what}: given up after {count} attempts" if last else f"{what}: starting it again")
        return last, result
