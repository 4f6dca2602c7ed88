"""Where a run goes: a folder that was named, or the first free one of a default name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from searchspace.support.errors import UserError

RUNS = Path("runs")


@dataclass(frozen=True)
class RunPlace:
    """The folder `path` or, where `numbered`, the first of PATH, PATH-2, PATH-3, ... that can be made."""

    path: Path
    numbered: bool = False

    def claimed(self) -> Path:
        """Return the folder, made here and now where the place is numbered, so that no other run takes it too."""
        if not self.numbered:
            return self.path
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for candidate in _numbered(self.path):
            try:
                candidate.mkdir()
            except FileExistsError:
                continue
            return candidate
        raise AssertionError("_numbered does not end")


def run_place(*, out: str | None, name: str | None, default: str, resume: bool) -> RunPlace:
    """Return where a run goes: `out`, else `runs/NAME`, else a free `runs/DEFAULT`, `runs/DEFAULT-2`, ...

    With `resume` and neither given it is the newest folder of that default name. Raises UserError when both are given
    or the name is not a plain folder name.
    """
    if out is not None and name is not None:
        raise UserError("--out and --name were both given: --name NAME writes runs/NAME, --out DIR writes DIR")
    if out is not None:
        return RunPlace(Path(out))
    if name is not None:
        if name in ("", ".", "..") or Path(name).name != name:
            raise UserError(f"--name is {name!r}, expected a plain folder name; for another place use --out")
        return RunPlace(RUNS / name)
    if not resume:
        return RunPlace(RUNS / default, numbered=True)
    newest = RUNS / default
    for candidate in _numbered(RUNS / default):
        if not candidate.exists():
            break
        newest = candidate
    return RunPlace(newest)


def _numbered(path: Path) -> Iterator[Path]:
    yield path
    yield from (path.with_name(f"{path.name}-{number}") for number in count(2))
