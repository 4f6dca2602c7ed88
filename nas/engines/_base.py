"""The one interface of every engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self, TypeVar

Shared = TypeVar("Shared")
Argument = TypeVar("Argument")
Result = TypeVar("Result")


class Engine(Protocol):
    """Runs independent tasks. A context manager: leaving it releases workers."""

    def map(
        self,
        function: Callable[[Shared, Argument], Result],
        arguments: Sequence[Argument],
        *,
        names: Sequence[str],
        shared: Shared,
        done: Callable[[int, Result], None] | None = None,
    ) -> list[Result]:
        """Return `[function(shared, argument) for argument in arguments]`.

        `function` is a module-level function and depends on nothing but its two arguments, so that a task can be
        repeated when the worker that ran it dies. `shared` travels to each worker once. `names` label the tasks for
        people (Ray's dashboard shows them). `done(index, result)` is called in this process as each one finishes.
        An exception of the function itself stops the rest and is raised here unchanged.
        """
        ...

    def close(self) -> None:
        """Release the workers; a second call does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
