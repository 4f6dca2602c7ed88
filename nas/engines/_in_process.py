"""Tasks one after another in this process: no workers, nothing to install."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from nas.engines._base import Argument, Result, Shared


class InProcessEngine:
    """Runs each task in turn."""

    def map(
        self,
        function: Callable[[Shared, Argument], Result],
        arguments: Sequence[Argument],
        *,
        names: Sequence[str],
        shared: Shared,
        done: Callable[[int, Result], None] | None = None,
    ) -> list[Result]:
        """Return the results in the order of `arguments`; see `Engine.map`."""
        results = []
        for index, (argument, _) in enumerate(zip(arguments, names, strict=True)):
            results.append(function(shared, argument))
            if done is not None:
                done(index, results[-1])
        return results

    def close(self) -> None:
        """Do nothing: there are no workers."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
