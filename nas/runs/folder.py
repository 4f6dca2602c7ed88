"""A run's folder: refuse to overwrite, write each file in one step, and `result.json` last, so it marks a whole run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from nas.runs.lock import LOCK, RunLock
from nas.runs.place import RunPlace
from nas.runs.versions import versions
from searchspace.support.errors import UserError
from searchspace.support.files import write_atomic
from searchspace.support.json_text import read_json_object
from searchspace.yaml_io import load_mapping

SETTINGS = "settings.yaml"
RESULT = "result.json"
REPORT = "report.html"
JOURNAL = "journal.jsonl"
ARCHITECTURE = "architecture.yaml"
FRONT_WEIGHTS = "front"  # a folder: the weights of each network of a search's front
_ABOUT = ("versions", "run", "resumed")  # what stands in the settings file beside the settings


def front_file(row: int) -> str:
    """Return the name of the weights of a front's network, by its row in the table, 1 the first."""
    return f"{row:03d}.safetensors"


class RunFolder:
    """The folder of one run; every file in it has a fixed name that the properties and constants here give.

    `settings` are those it was made or opened with; `changed_versions` says, after `reopen`, which versions are not
    those that the run was started with.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any] | None = None) -> None:
        self.path = Path(path)
        self.settings: dict[str, Any] = dict(settings or {})
        self.changed_versions: tuple[str, ...] = ()
        self._lock: RunLock | None = None

    @classmethod
    def create(
        cls,
        place: str | Path | RunPlace,
        settings: Mapping[str, Any],
        job: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> RunFolder:
        """Make the folder, lock it, and write its settings with the versions in use.

        `job` names the command; `options` are what it was asked for beside the settings, free to differ when the run
        is taken up again. Raises UserError when the folder already holds anything, OSError when it cannot be written.
        """
        folder = cls(place.claimed() if isinstance(place, RunPlace) else place, settings)
        if folder.path.exists() and not folder.path.is_dir():
            raise UserError(f"{folder.path} is a file, expected a folder to write the run into: choose another --out")
        folder._require_empty()
        folder.path.mkdir(parents=True, exist_ok=True)
        folder._lock = RunLock(folder.path)
        folder._require_empty()  # by whoever held the lock until now
        about = {"run": {"job": job, **(options or {})}, "versions": versions()}
        folder.write(SETTINGS, yaml.safe_dump({**settings, **about}, sort_keys=False))
        return folder

    @classmethod
    def reopen(cls, path: str | Path | RunPlace, settings: Mapping[str, Any]) -> RunFolder:
        """Open the folder of an interrupted run, and lock it, to go on with it.

        Raises UserError when there is none, another process works on it, or its settings differ from `settings`,
        showing the difference.
        """
        folder = cls(path.path if isinstance(path, RunPlace) else path, settings)
        document = folder._settings_file()
        before = {key: value for key, value in document.items() if key not in _ABOUT}
        differing = [key for key in {**before, **settings} if before.get(key) != settings.get(key)]
        if differing:
            lines = "".join(f"\n  {key}: {before.get(key)} then, {settings.get(key)} now" for key in differing)
            raise UserError(f"cannot resume {folder.path}: it was started with other settings{lines}")
        if not folder.is_complete:
            folder._lock = RunLock(folder.path)
            folder._note_versions(document)
        return folder

    def started_with(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the settings a run was started with, and what its command was asked for beside them (`job`, ...).

        Raises UserError when the folder holds no run, or one of before such notes were made.
        """
        document = self._settings_file()
        about = document.get("run")
        if not isinstance(about, dict):
            raise UserError(
                f"{self.path} is of an earlier version, which did not note its command: resume it by that command, "
                "with --resume added"
            )
        return {key: value for key, value in document.items() if key not in _ABOUT}, about

    def about(self) -> dict[str, Any]:
        """Return what the run's command was asked for beside the settings (`job`, ...); empty for old runs."""
        about = self._settings_file().get("run")
        return about if isinstance(about, dict) else {}

    def _settings_file(self) -> dict[str, Any]:
        if not self.file(SETTINGS).is_file():
            raise UserError(f"{self.path} holds no run to resume (no {SETTINGS}): start it without --resume")
        return load_mapping(self.file(SETTINGS), "settings file")

    def _note_versions(self, document: dict[str, Any]) -> None:
        """Add the versions in use to the settings file where they are not those used last."""
        resumed = list(document.get("resumed") or [])
        before, now = (resumed[-1] if resumed else document.get("versions")) or {}, versions()
        changed = [key for key in now if before.get(key) != now[key]]
        self.changed_versions = tuple(f"{key}: {before.get(key)} then, {now[key]} now" for key in changed)
        if changed:
            self.write(SETTINGS, yaml.safe_dump({**document, "resumed": [*resumed, now]}, sort_keys=False))

    def _require_empty(self) -> None:
        held = [path.name for path in self.path.iterdir()] if self.path.is_dir() else []
        if held in ([], [LOCK]):
            return
        if self.is_complete:
            raise UserError(f"{self.path} already holds a finished run: choose another --out or --name, or remove it")
        if self.file(SETTINGS).is_file():
            raise UserError(
                f"{self.path} already holds an unfinished run: add --resume to go on, or choose another --out"
            )
        raise UserError(f"{self.path} already exists and is not empty: choose another --out or --name")

    def close(self) -> None:
        """Let another process work on the run; ending this one does the same. A second call does nothing."""
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
        path = self.write_json(RESULT, result)
        if self._lock is not None:
            self._lock.remove()
        return path

    @property
    def is_complete(self) -> bool:
        """Whether the run has finished."""
        return self.file(RESULT).is_file()

    def result(self) -> dict[str, Any]:
        """Return the result; raises UserError when the run has not finished or the file is damaged."""
        if not self.is_complete:
            raise UserError(f"{self.path} has no {RESULT}: the run has not finished, add --resume to go on")
        return read_json_object(self.file(RESULT), "result file")
