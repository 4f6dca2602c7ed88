"""A strategy's snapshot beside the journal: what a resumed search takes over where replaying its batches is dear.

    {"format":"search-snapshot/1","batches":412,"check":"91a2..."}   then the strategy's bytes

`check` is that of the journal's last line at the time, which pins all lines up to there. A snapshot of another journal,
one ahead of it or a damaged one is left aside with a word, and the journal is replayed: it alone decides the search.
"""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path

from nas.jobs.search.journal import Journal
from nas.strategies import Strategy
from searchspace.support.errors import Note, UserError
from searchspace.support.files import write_atomic

SNAPSHOT = "strategy.snapshot"
EVERY_S = 10.0
_FORMAT = "search-snapshot/1"


class Snapshots:
    """Keeps the snapshot at `path`, written anew every `every_s` (10) seconds and in at most a `share` of the time."""

    def __init__(self, path: Path, every_s: float | None = None, share: float = 0.05) -> None:
        self.path, self._share = path, share
        self._every_s = EVERY_S if every_s is None else every_s
        self._next = time.monotonic() + self._every_s
        self._wanted = True

    def batch_told(self, strategy: Strategy, journal: Journal) -> None:
        """Write a snapshot of a strategy that was told all of the journal, when it is time and it takes any."""
        started = time.monotonic()
        if not self._wanted or started < self._next:
            return
        state = strategy.snapshot()
        if state is None:
            self._wanted = False
            return
        batches, check = journal.position
        head = json.dumps({"format": _FORMAT, "batches": batches, "check": check})
        try:
            write_atomic(self.path, head.encode() + b"\n" + state)
        except OSError as error:  # the journal suffices; where the disk is full it says so itself
            self._wanted = False
            warnings.warn(f"no snapshot was written to {self.path}: {error.strerror}", Note, stacklevel=2)
        now = time.monotonic()
        self._next = now + max(self._every_s, (now - started) / self._share)

    def restore(self, strategy: Strategy, journal: Journal) -> int:
        """Give a new strategy the snapshot, if there is a sound one; return how many batches it so was told."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return 0
        except OSError as error:
            return self._left_aside(f"it cannot be read: {error.strerror}")
        line, _, state = data.partition(b"\n")
        try:
            head = json.loads(line)
            batches = head["batches"]
            if head["format"] != _FORMAT or type(batches) is not int or batches < 1:
                raise ValueError
        except (ValueError, KeyError, TypeError):
            return self._left_aside("it is damaged")
        if batches > len(journal.checks) or not head["check"] or journal.checks[batches - 1] != head["check"]:
            return self._left_aside("it is not of this journal")
        try:
            strategy.restore(state)
        except UserError as error:
            return self._left_aside(str(error))
        return batches

    def remove(self) -> None:
        """Delete the snapshot of a search that is done."""
        self.path.unlink(missing_ok=True)

    def _left_aside(self, reason: str) -> int:
        warnings.warn(f"{self.path} is left aside and the journal replayed: {reason}", Note, stacklevel=3)
        return 0
