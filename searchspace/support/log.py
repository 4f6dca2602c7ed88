"""One append-only log of JSON lines for whatever works for long and must lose nothing.

    {"format":"search-journal/2","header":{...what decides the work...},"header_sha256":"...","check":"..."}
    {"n":1,...,"check":"91a2..."}

Lines are numbered from 1 after the header. `check` hashes the line together with the check before it, so that a line
changed, missing, doubled or moved is refused where it stands. A line is appended by one write; the last one may be torn
by a crash (it then has no newline) and is dropped.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, NamedTuple, Self

from searchspace.support.errors import UserError
from searchspace.support.files import write_atomic
from searchspace.support.json_text import parse_json

HEADERLESS = ""  # the older format of logs whose first line was an entry already
_CHECK = b',"check":"'
_DIGEST_BYTES = 8
_CHECK_BYTES = len(_CHECK) + 2 * _DIGEST_BYTES + len(b'"}')


@dataclass(frozen=True, kw_only=True)
class LogKind:
    """What a log holds: the format its header names, what messages call it, and older formats that are still read.

    `sync_seconds` is how long a line may wait for the disk itself: 0 flushes each one before `append` returns, which a
    power cut asks for; a killed process never loses a line that was appended.
    """

    format: str
    name: str
    older: tuple[str, ...] = ()
    sync_seconds: float = 0.0


class Entry(NamedTuple):
    """One entry, the line of the file it stands in, and that line's check, which says all that stands up to there."""

    line: int
    document: dict[str, Any]
    check: str = ""


class Log:
    """An open log, a context manager; `entries` are those found when it was opened."""

    def __init__(self, kind: LogKind, path: Path, entries: tuple[Entry, ...], check: bytes) -> None:
        """Take over what `open` has read."""
        self.kind, self.path, self.entries = kind, path, entries
        self._count, self._check = len(entries), check
        self._file = path.open("ab", buffering=0)
        self._synced = time.monotonic()

    @classmethod
    def open(cls, kind: LogKind, path: str | Path, header: Mapping[str, Any]) -> Self:
        """Go on with the log at `path`, or begin it; a torn last line is cut off, an older format is written anew.

        Raises UserError when the log has another header, showing the difference, or is damaged, naming the line;
        OSError when it cannot be read or written.
        """
        path, wanted = Path(path), json.loads(json.dumps(dict(header)))
        found = _read(kind, path) if path.exists() else None
        if found is None:
            first, check = _header_line(kind, wanted)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, first)
            return cls(kind, path, (), check)
        _compare(kind, path, found.header, wanted, partly=found.older)
        if found.older:
            lines, check = _rewritten(kind, wanted, found.entries)
            write_atomic(path, lines)
        else:
            os.truncate(path, found.whole_bytes)
            check = found.check
        return cls(kind, path, found.entries, check)

    @property
    def count(self) -> int:
        """How many entries there are."""
        return self._count

    @property
    def check(self) -> str:
        """The check of the last line: no other content of the log has the same."""
        return self._check.decode()

    def append(self, *documents: Mapping[str, Any]) -> None:
        """Add entries with one write; raises OSError when the disk refuses, and the log is then as it was before."""
        lines, count, check = [], self._count, self._check
        for document in documents:
            count += 1
            line, check = _line({"n": count, **document}, check)
            lines.append(line)
        self._write(b"".join(lines))
        self._count, self._check = count, check
        if time.monotonic() - self._synced >= self.kind.sync_seconds:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def _write(self, lines: bytes) -> None:
        size = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(lines) != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        except OSError as error:
            self._file.truncate(size)
            raise OSError(error.errno, error.strerror, str(self.path)) from error

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_log(kind: LogKind, path: str | Path) -> tuple[dict[str, Any], tuple[Entry, ...]]:
    """Return the header and the entries of a log without touching it; raises UserError as `Log.open` does."""
    found = _read(kind, Path(path))
    if found is None:
        raise UserError(f"{path} holds no whole line of a {kind.name}")
    return found.header, found.entries


def damaged(kind: LogKind, path: str | Path, line: int, problem: str) -> UserError:
    """Return the error for a line that cannot be what was written there."""
    return UserError(
        f"{path}, line {line}: {problem}; the {kind.name} is damaged: restore it from a copy, or start anew elsewhere"
    )


class _Found(NamedTuple):
    header: dict[str, Any]
    entries: tuple[Entry, ...]
    whole_bytes: int
    check: bytes
    older: bool


def _read(kind: LogKind, path: Path) -> _Found | None:
    """Return what a log holds, None where not even its header is whole."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"no such {kind.name}: {path}") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder, expected a {kind.name}") from None
    whole = content.rfind(b"\n") + 1
    lines = content[:whole].split(b"\n")[:-1]
    if not lines:
        return None
    first = _object(kind, path, lines[0], 1)
    name = first.get("format", HEADERLESS)
    if name != kind.format:
        return _read_older(kind, path, lines, name, first, whole)
    header = first.get("header")
    if not isinstance(header, dict) or first.get("header_sha256") != _hash(header):
        raise damaged(kind, path, 1, "its header does not fit its hash")
    check = _checked(kind, path, lines[0], 1, b"")
    entries = []
    for number, line in enumerate(lines[1:], start=2):
        check = _checked(kind, path, line, number, check)
        document = _object(kind, path, line, number)
        kept = {key: value for key, value in document.items() if key not in ("n", "check")}
        entries.append(Entry(number, kept, check.decode()))
    return _Found(header, tuple(entries), whole, check, False)


def _read_older(kind: LogKind, path: Path, lines: list[bytes], name: Any, first: dict[str, Any], whole: int) -> _Found:
    """Read a log of a format without checks, as it stands."""
    if name not in kind.older:
        expected = " or ".join(repr(known) for known in (kind.format, *kind.older) if known)
        given = repr(name)[:60] if name != HEADERLESS else "none"
        raise UserError(f"{path} is not a {kind.name} that can be read: its format is {given}, expected {expected}")
    if any(_CHECK in line for line in lines):
        raise damaged(kind, path, 1, "its lines have checks, which logs of that format have not: line 1 was changed")
    skipped = 0 if name == HEADERLESS else 1
    entries = tuple(
        Entry(number, _object(kind, path, line, number))
        for number, line in enumerate(lines, start=1)
        if number > skipped
    )
    rest = {key: value for key, value in first.items() if key != "format"}
    header = {} if name == HEADERLESS else first["header"] if isinstance(first.get("header"), dict) else rest
    return _Found(header, entries, whole, b"", True)


def _object(kind: LogKind, path: Path, line: bytes, number: int) -> dict[str, Any]:
    try:
        document = parse_json(line, "")
    except UserError as refused:
        raise damaged(kind, path, number, str(refused).removeprefix(": ")) from None
    if not isinstance(document, dict):
        raise damaged(kind, path, number, "expected a JSON object")
    return document


def _checked(kind: LogKind, path: Path, line: bytes, number: int, before: bytes) -> bytes:
    """Return the check of a line; raises UserError when it does not follow from the line and the one before it."""
    body, check = line[:-_CHECK_BYTES], _digest(before, line[:-_CHECK_BYTES])
    if line == body + _CHECK + check + b'"}':
        return check
    found = _object(kind, path, line, number).get("n")
    expected = number - 1
    if expected and found != expected:
        raise damaged(
            kind, path, number, f"it is entry {found!r:.20}, expected {expected}: a line is missing or doubled"
        )
    raise damaged(kind, path, number, "its check does not fit: it was changed, or the line before it was")


def _digest(before: bytes, body: bytes) -> bytes:
    return blake2b(before + body, digest_size=_DIGEST_BYTES).hexdigest().encode()


def _line(document: Mapping[str, Any], before: bytes) -> tuple[bytes, bytes]:
    body = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()[:-1]
    check = _digest(before, body)
    return body + _CHECK + check + b'"}\n', check


def _header_line(kind: LogKind, header: dict[str, Any]) -> tuple[bytes, bytes]:
    return _line({"format": kind.format, "header": header, "header_sha256": _hash(header)}, b"")


def _rewritten(kind: LogKind, header: dict[str, Any], entries: tuple[Entry, ...]) -> tuple[bytes, bytes]:
    first, check = _header_line(kind, header)
    lines = [first]
    for number, entry in enumerate(entries, start=1):
        line, check = _line({"n": number, **entry.document}, check)
        lines.append(line)
    return b"".join(lines), check


def _hash(header: Mapping[str, Any]) -> str:
    return sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()


def _compare(kind: LogKind, path: Path, before: dict[str, Any], now: dict[str, Any], partly: bool) -> None:
    """Raise UserError where two headers differ; an older one says less, so only what it says is compared."""
    keys = before if partly else {**before, **now}
    differing = [key for key in keys if before.get(key) != now.get(key)]
    if differing:
        lines = "".join(f"\n  {key}: {_short(before.get(key))} then, {_short(now.get(key))} now" for key in differing)
        raise UserError(f"cannot go on from {path}: this {kind.name} was begun under other conditions{lines}")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
