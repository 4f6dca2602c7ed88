"""The measurements of an unfinished run: one JSON line each, appended at once, so that a killed run loses nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from latency_lut.measure.backend import Task, task_key, task_of
from searchspace.support.errors import UserError
from searchspace.support.files import read_text

_FORMAT = "measurements/1"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One task's time in ms as it was read, relative spread, timed runs, and the reference op's time around it."""

    latency_ms: float
    spread: float
    runs: int
    reference_ms: float


class Journal:
    """Append-only file of measurements under one set of conditions."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        """Continue the journal at `path`, or begin it.

        Raises UserError when the file was begun under another header, naming what differs, or is damaged anywhere but
        in its last line, which a killed run may have left incomplete.
        """
        self.path = path
        self.measurements: dict[Task, Measurement] = {}
        wanted = {"format": _FORMAT, **header}
        whole = 0
        if path.exists():
            whole = self._read(wanted)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("r+b" if path.exists() else "wb")
        self._file.truncate(whole)
        self._file.seek(whole)
        if not whole:
            self._write([wanted])

    def append(self, measurements: Mapping[Task, Measurement]) -> None:
        """Add measurements; they are on disk when this returns."""
        self._write([{"task": task_key(task), **asdict(entry)} for task, entry in measurements.items()])
        self.measurements |= measurements

    def close(self) -> None:
        """Close the file; it stays where it is."""
        self._file.close()

    def remove(self) -> None:
        """Delete the file: the measurements live on in the finished table."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _write(self, documents: Iterable[Mapping[str, Any]]) -> None:
        self._file.write("".join(json.dumps(document) + "\n" for document in documents).encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self, wanted: Mapping[str, Any]) -> int:
        """Read all whole lines; return how many bytes they take."""
        text = read_text(self.path, "measurement journal")
        lines = text.splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            lines.pop()
        for number, line in enumerate(lines, start=1):
            document = self._document(line, number)
            if number == 1:
                self._check_header(document, wanted)
            else:
                task, measurement = self._entry(document, number)
                self.measurements[task] = measurement
        return sum(len(line.encode()) for line in lines)

    def _document(self, line: str, number: int) -> dict[str, Any]:
        try:
            document = json.loads(line)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise UserError(f"{self.path}, line {number}: not a measurement; delete the file to start again")
        return document

    def _entry(self, document: dict[str, Any], number: int) -> tuple[Task, Measurement]:
        try:
            task = task_of(document.pop("task", None))
            entry = Measurement(**document)
            valid = all(0 <= value < 1e6 for value in (entry.latency_ms, entry.spread, entry.runs))
            valid = valid and 0 < entry.reference_ms < 1e6
        except (TypeError, UserError):
            valid = False
        if not valid:
            raise UserError(f"{self.path}, line {number}: not a measurement; delete the file to start again")
        return task, entry

    def _check_header(self, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        different = [
            f"{name} was {found.get(name)!r} and is {wanted.get(name)!r}"
            for name in sorted(found.keys() | wanted.keys())
            if found.get(name) != wanted.get(name)
        ]
        if different:
            raise UserError(
                f"{self.path} was begun under other conditions: {'; '.join(different)}. "
                "Restore them, or delete the file to start again"
            )
