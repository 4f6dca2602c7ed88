"""The journal of a comparison: each finished search a line, so that an interrupted one goes on with the next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from nas.objectives import Values
from searchspace.support.log import Entry, Log, LogKind, damaged

KIND = LogKind(format="compare-journal/1", name="journal of a comparison")


class Trace(NamedTuple):
    """One search: the networks it evaluated, in order; cost, its upper end and top-1 in percent, each (n,)."""

    cost: Values
    high: Values
    top1: Values

    def best(self, budget: float) -> Values:
        """Return the best top-1 within the budget after each evaluation, (n,); -inf while there is none."""
        return np.asarray(np.maximum.accumulate(np.where(self.high <= budget, self.top1, -np.inf)))


class Traces:
    """The finished searches by strategy and seed, and their file; a context manager."""

    def __init__(self, log: Log | None = None) -> None:
        """Take over a log; raises UserError, naming the line, for what is no search."""
        self._log = log
        self._known = {} if log is None else dict(_trace(entry, log.path) for entry in log.entries)

    @classmethod
    def open(cls, path: Path, header: Mapping[str, Any]) -> Self:
        """Open or begin the journal; raises UserError where it is of another comparison or damaged."""
        return cls(Log.open(KIND, path, header))

    def get(self, strategy: str, seed: int) -> Trace | None:
        """Return a finished search, None where it is still to be run."""
        return self._known.get((strategy, seed))

    def add(self, strategy: str, seed: int, trace: Trace) -> None:
        """Note a finished search."""
        self._known[strategy, seed] = trace
        if self._log is not None:
            figures = {name: values.tolist() for name, values in trace._asdict().items()}
            self._log.append({"strategy": strategy, "seed": seed, **figures})

    def close(self) -> None:
        """Close the file."""
        if self._log is not None:
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _trace(entry: Entry, path: Path) -> tuple[tuple[str, int], Trace]:
    document = entry.document
    try:
        trace = Trace(*(np.array(document[name], dtype=np.float64) for name in Trace._fields))
        if len({values.shape for values in trace}) != 1 or trace.top1.ndim != 1 or not np.isfinite(trace).all():
            raise ValueError("cost, high and top1 are no lists of as many numbers")
        return (str(document["strategy"]), int(document["seed"])), trace
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(KIND, path, entry.line, f"not a search ({str(error)[:100]})") from None
