"""The journal of a search: one batch a line of a log (`searchspace.support.log`), from which a search is continued.

    {"n":1,"genotypes":"<hex, one byte a choice>","top1":[75.1, null, ...],"check":"..."}

Every network the strategy proposed is there; null stands for one over the ceiling, which was priced but not evaluated.
`stopped` stands beside them where trainings were stopped early, with the epoch of each.
The header is compared when a search is resumed. Latencies are not stored: the header pins the table they follow from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from nas.evaluators import check_top1
from searchspace.choices import Genotypes
from searchspace.support.errors import UserError
from searchspace.support.log import Entry, Log, LogKind, damaged, read_log

# A killed process loses nothing; after a power cut the last second's evaluations are done again.
KIND = LogKind(format="search-journal/2", name="search journal", older=("search-journal/1",), sync_seconds=1.0)


class JournalBatch(NamedTuple):
    """Genotypes of shape (n, choices) and their top-1 in percent, shape (n,), NaN where not evaluated.

    `stopped` holds the epoch after which each one's training was stopped early, None where it was not.
    """

    genotypes: Genotypes
    top1: NDArray[np.float64]
    stopped: tuple[int | None, ...] | None = None

    @property
    def partial(self) -> NDArray[np.bool_]:
        """Which trainings were stopped early, shape (n,)."""
        return np.array([epoch is not None for epoch in self.stopped or (None,) * len(self.top1)], dtype=np.bool_)


class Journal:
    """An open journal; a context manager. `batches` are those found in the file when it was opened.

    `checks` holds, for each of them, what pins the journal up to there; "" in a journal of before checks.
    """

    def __init__(self, log: Log) -> None:
        """Read the batches of a log; raises UserError, naming the line, for what no evaluator may have returned."""
        self._log = log
        self.path = log.path
        self.batches = tuple(_batch(entry, log.path) for entry in log.entries)
        self.checks = tuple(entry.check for entry in log.entries)

    @classmethod
    def create(cls, path: str | Path, header: Mapping[str, Any]) -> Journal:
        """Start a journal; raises UserError when the file exists, OSError when it cannot be written."""
        if Path(path).exists():
            raise UserError(f"{path} already exists: resume that search, or choose another folder")
        return cls(Log.open(KIND, path, header))

    @classmethod
    def resume(cls, path: str | Path, header: Mapping[str, Any]) -> Journal:
        """Open a journal to go on with it; a torn last line is cut off, an empty journal is started anew.

        Raises UserError when there is none, its header differs, showing how, or a line is damaged.
        """
        if not Path(path).exists():
            raise UserError(f"no such journal: {path}")
        return cls(Log.open(KIND, path, header))

    def append(
        self, genotypes: Genotypes, top1: NDArray[np.float64], stopped: Sequence[int | None] | None = None
    ) -> None:
        """Write one batch: (n, choices) and (n,), NaN as null; raises OSError when the disk refuses.

        `stopped` holds the epoch after which each training was stopped early, None where it was not.
        """
        known = [None if math.isnan(value) else value for value in top1.tolist()]
        document: dict[str, Any] = {"genotypes": genotypes.astype(np.uint8).tobytes().hex(), "top1": known}
        if stopped is not None and any(epoch is not None for epoch in stopped):
            document["stopped"] = list(stopped)
        self._log.append(document)

    @property
    def position(self) -> tuple[int, str]:
        """How many batches there are by now, and the check of the last one."""
        return self._log.count, self._log.check

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_batches(path: str | Path) -> tuple[JournalBatch, ...]:
    """Return the batches of a journal without touching it; raises UserError as `Journal` does."""
    _, entries = read_log(KIND, path)
    return tuple(_batch(entry, Path(path)) for entry in entries)


def _batch(entry: Entry, path: Path) -> JournalBatch:
    try:
        top1 = np.array(entry.document["top1"], dtype=np.float64)
        if top1.ndim != 1 or not len(top1):
            raise ValueError("top1 is no list of numbers")
        flat = np.frombuffer(bytes.fromhex(entry.document["genotypes"]), dtype=np.uint8)
        stopped = entry.document.get("stopped")
        if stopped is not None and (
            len(stopped) != len(top1) or any(not (one is None or type(one) is int) for one in stopped)
        ):
            raise ValueError("stopped is no list of epochs, one for each network")
        stopped = None if stopped is None else tuple(stopped)
        batch = JournalBatch(flat.reshape(len(top1), -1), top1, stopped)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise damaged(KIND, path, entry.line, f"not a batch of a search ({str(error)[:100]})") from None
    known = top1[~np.isnan(top1)]
    try:
        check_top1(known, len(known))
    except ValueError as error:
        raise damaged(KIND, path, entry.line, str(error)) from None
    return batch
