"""A run's folder: refuse to overwrite, write each file in one step, and `result.json` last, so it marks a whole run."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

import nas
from searchspace.support.errors import UserError
from searchspace.support.files import read_text, write_atomic
from searchspace.yaml_io import load_mapping

SETTINGS = "settings.yaml"
RESULT = "result.json"
JOURNAL = "journal.jsonl"
ARCHITECTURE = "architecture.yaml"
RUNS = Path("runs")
_VERSIONED = ("numpy", "torch", "lightgbm", "ai-edge-litert")


class RunFolder:
    """The folder of one run; every file in it has a fixed name that the properties and constants here give."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def create(cls, path: str | Path, settings: Mapping[str, Any]) -> RunFolder:
        """Make the folder and write its settings with the versions in use.

        Raises UserError when the folder already holds anything, OSError when it cannot be written.
        """
        folder = cls(path)
        if folder.path.exists() and not folder.path.is_dir():
            raise UserError(f"{folder.path} is a file, expected a folder to write the run into: choose another --out")
        if folder.path.is_dir() and any(folder.path.iterdir()):
            raise UserError(folder._already_there())
        folder.write(SETTINGS, yaml.safe_dump({**settings, "versions": versions()}, sort_keys=False))
        return folder

    @classmethod
    def reopen(cls, path: str | Path, settings: Mapping[str, Any]) -> RunFolder:
        """Open the folder of an interrupted run to go on with it.

        Raises UserError when there is none or when its settings differ from `settings`, showing the difference.
        """
        folder = cls(path)
        if not folder.file(SETTINGS).is_file():
            raise UserError(f"{folder.path} holds no run to resume (no {SETTINGS}): start it without --resume")
        before = load_mapping(folder.file(SETTINGS), "settings file")
        before.pop("versions", None)
        differing = [key for key in {**before, **settings} if before.get(key) != settings.get(key)]
        if differing:
            lines = "".join(f"\n  {key}: {before.get(key)} then, {settings.get(key)} now" for key in differing)
            raise UserError(f"cannot resume {folder.path}: it was started with other settings{lines}")
        return folder

    def _already_there(self) -> str:
        if self.is_complete:
            return f"{self.path} already holds a finished run: choose another --out or --name, or remove it"
        if self.file(SETTINGS).is_file():
            return f"{self.path} already holds an unfinished run: add --resume to go on, or choose another --out"
        return f"{self.path} already exists and is not empty: choose another --out or --name"

    def file(self, name: str) -> Path:
        """Return the path of a file of the run."""
        return self.path / name

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file of the run in one step and return its path; raises OSError naming it."""
        target = self.file(name)
        try:
            write_atomic(target, content)
        except OSError as error:  # which names a temporary file, or on a full disk none
            raise OSError(error.errno, error.strerror, str(target)) from error
        return target

    def write_json(self, name: str, document: Mapping[str, Any]) -> Path:
        """Write a JSON file in one step; the same document gives the same bytes."""
        return self.write(name, json.dumps(document, indent=2, allow_nan=False) + "\n")

    def finish(self, result: Mapping[str, Any]) -> Path:
        """Write `result.json`, the last file of a run: a folder without it is unfinished."""
        return self.write_json(RESULT, result)

    @property
    def is_complete(self) -> bool:
        """Whether the run has finished."""
        return self.file(RESULT).is_file()

    def result(self) -> dict[str, Any]:
        """Return the result; raises UserError when the run has not finished or the file is damaged."""
        if not self.is_complete:
            raise UserError(f"{self.path} has no {RESULT}: the run has not finished, add --resume to go on")
        text = read_text(self.file(RESULT), "result file")
        try:
            document = json.loads(text)
        except json.JSONDecodeError as error:
            raise UserError(f"{self.file(RESULT)}, line {error.lineno}: not valid JSON: {error.msg}") from None
        if not isinstance(document, dict):
            raise UserError(f"{self.file(RESULT)} is not a result file: expected a JSON object")
        return document


def versions() -> dict[str, str]:
    """Return the versions of this project, Python and the packages that decide a run's numbers."""
    found = {"nas": nas.__version__, "python": platform.python_version()}
    for package in _VERSIONED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def run_path(*, out: str | None, name: str | None, default: str, resume: bool) -> Path:
    """Return the folder of a run: `out`, else `runs/NAME`, else a free `runs/DEFAULT`, `runs/DEFAULT-2`, ...

    With `resume` and neither given it is the newest folder of that default name. Raises UserError when both are given
    or the name is not a plain folder name.
    """
    if out is not None and name is not None:
        raise UserError("--out and --name were both given: --name NAME writes runs/NAME, --out DIR writes DIR")
    if out is not None:
        return Path(out)
    if name is not None:
        if name in ("", ".", "..") or Path(name).name != name:
            raise UserError(f"--name is {name!r}, expected a plain folder name; for another place use --out")
        return RUNS / name
    taken = None
    for candidate in _numbered(default):
        if not candidate.exists():
            return taken if resume and taken is not None else candidate
        taken = candidate
    raise AssertionError("_numbered does not end")


def _numbered(name: str) -> Iterator[Path]:
    yield RUNS / name
    number = 2
    while True:
        yield RUNS / f"{name}-{number}"
        number += 1
