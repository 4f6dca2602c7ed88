"""The journal of a search: append-only JSON lines, one batch a line, from which a search is continued.

    {"format": "search-journal/1", "header": {...what decides the search...}}
    {"genotypes": "<hex, one byte a choice>", "top1": [75.1, null, ...]}

Every network the strategy proposed is there; null stands for one over the ceiling, which was priced but not evaluated.
The header is compared when a search is resumed. Each batch is written with one write and flushed; the last line may
be torn by a crash and is then dropped. Latencies are not stored: the header pins the table they follow from.
"""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from searchspace.choices import Genotypes
from searchspace.support.errors import UserError
from searchspace.support.files import read_text

_FORMAT = "search-journal/1"


class Batch(NamedTuple):
    """Genotypes of shape (n, choices) and their top-1 in percent, shape (n,), NaN where not evaluated."""

    genotypes: Genotypes
    top1: NDArray[np.float64]


class Journal:
    """An open journal; a context manager. `batches` are those found in the file when it was opened."""

    def __init__(self, path: str | Path, batches: tuple[Batch, ...] = ()) -> None:
        self.path = Path(path)
        self.batches = batches
        self._file = self.path.open("ab", buffering=0)

    @classmethod
    def create(cls, path: str | Path, header: Mapping[str, Any]) -> Journal:
        """Start a journal; raises UserError when the file exists, OSError when it cannot be written."""
        if Path(path).exists():
            raise UserError(f"{path} already exists: resume that search, or choose another folder")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        journal = cls(path)
        journal._write({"format": _FORMAT, "header": dict(header)})
        return journal

    @classmethod
    def resume(cls, path: str | Path, header: Mapping[str, Any]) -> Journal:
        """Open a journal to go on with it; a torn last line is cut off, an empty journal is started anew.

        Raises UserError when the header differs, showing how, or a line other than the last is damaged.
        """
        lines, whole_bytes = _whole_lines(Path(path))
        if not lines:
            Path(path).unlink()
            return cls.create(path, header)
        _compare(_header(lines[0], path), json.loads(json.dumps(dict(header))), path)
        batches = tuple(_batch(line, path, number) for number, line in enumerate(lines[1:], start=2))
        os.truncate(path, whole_bytes)
        return cls(path, batches)

    def append(self, genotypes: Genotypes, top1: NDArray[np.float64]) -> None:
        """Write one batch: (n, choices) and (n,), NaN as null; raises OSError when the disk refuses."""
        known = [None if math.isnan(value) else value for value in top1.tolist()]
        self._write({"genotypes": genotypes.astype(np.uint8).tobytes().hex(), "top1": known})

    def _write(self, entry: Mapping[str, Any]) -> None:
        line = (json.dumps(entry, separators=(",", ":"), allow_nan=False) + "\n").encode()
        written = self._file.write(line)
        if written != len(line):
            raise OSError(errno.ENOSPC, "the journal could not be written whole", str(self.path))

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _whole_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the lines as objects, without a torn last one, and the number of bytes they take."""
    text = read_text(path, "journal")
    objects: list[dict[str, Any]] = []
    whole = 0
    for number, line, last in _numbered(text):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            if last:
                break
            raise UserError(f"{path}, line {number}: not valid JSON ({error.msg}); the journal is damaged") from None
        if not line.endswith("\n") and last:
            break
        if not isinstance(entry, dict):
            raise UserError(f"{path}, line {number}: expected a JSON object; the journal is damaged")
        objects.append(entry)
        whole += len(line.encode())
    return objects, whole


def _numbered(text: str) -> Iterator[tuple[int, str, bool]]:
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        yield number, line, number == len(lines)


def _header(entry: dict[str, Any], path: str | Path) -> dict[str, Any]:
    header = entry.get("header")
    if entry.get("format") != _FORMAT or not isinstance(header, dict):
        raise UserError(f"{path} is not a search journal: its first line should have the format {_FORMAT!r}")
    return header


def _compare(before: dict[str, Any], now: dict[str, Any], path: str | Path) -> None:
    differing = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if differing:
        lines = "".join(f"\n  {key}: {before.get(key)} then, {now.get(key)} now" for key in differing)
        raise UserError(f"cannot resume from {path}: it belongs to another search{lines}")


def _batch(entry: dict[str, Any], path: str | Path, number: int) -> Batch:
    try:
        top1 = np.array(entry["top1"], dtype=np.float64)
        flat = np.frombuffer(bytes.fromhex(entry["genotypes"]), dtype=np.uint8)
        return Batch(flat.reshape(len(top1), -1), top1)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}, line {number}: not a batch of a search ({error}); the journal is damaged") from None
