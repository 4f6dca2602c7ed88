"""Devices by name: the tables that ship with the package, and those that the user has measured.

Shipped tables are `latency_lut/data/NAME.csv`. A measured table belongs in `user_folder()`, `tables` below the data
folder of `searchspace.support.folders`; it goes before a shipped table of the same name.
"""

from __future__ import annotations

import difflib
import os
import re
import warnings
from pathlib import Path

from latency_lut.table import LatencyTable
from searchspace.support.errors import Note, UserError, quoted
from searchspace.support.folders import data_folder, former_data_folder

HOST = "host"
ALIASES = {"pixel": "pixel1", "s10": "galaxy_s10"}
_SHIPPED = Path(__file__).parent / "data"
_SUFFIX = ".csv"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}")


def user_folder() -> Path:
    """Return the folder of the tables that the user has measured or calibrated."""
    return data_folder() / "tables"


def former_folder() -> Path | None:
    """Return the folder in which earlier releases kept the user's tables, None where NAS_HOME names one.

    Its tables are still read, after those of `user_folder()`.
    """
    return None if os.environ.get("NAS_HOME") else former_data_folder() / "tables"


def former_tables() -> tuple[Path, ...]:
    """Return the tables that are read from `former_folder()` because `user_folder()` has none of their name."""
    folder = former_folder()
    return tuple(path for path in _table_paths().values() if folder is not None and path.parent == folder)


def user_table_path(device: str) -> Path:
    """Return where the measured table of a device belongs; raises UserError for what cannot be a device's name."""
    if not _NAME.fullmatch(device):
        raise UserError(
            f"{device!r} cannot name a device: use letters, digits, `_`, `-` and `.`, a letter or digit first"
        )
    return user_folder() / f"{device}{_SUFFIX}"


def new_table_path(device: str) -> Path:
    """Return `user_table_path`; raises UserError for the name of a shipped table or alias, which it would shadow."""
    name = ALIASES.get(device, device)
    if name in shipped_names():
        raise UserError(
            f"{device} is a shipped table, and a table of yours by that name would be used instead of it everywhere: "
            "call the phone something else with --device, or say where the table goes with --out"
        )
    return user_table_path(device)


def shadowing_tables() -> tuple[str, ...]:
    """Return the names of the user's tables that are used instead of shipped ones."""
    shipped = set(shipped_names())
    return tuple(sorted(name for name, path in _table_paths().items() if name in shipped and path.parent != _SHIPPED))


def table_path(device: str) -> Path:
    """Return the file behind a name of `device_names`."""
    return _table_paths()[device]


def device_names() -> tuple[str, ...]:
    """Return the names of all devices with a table, shipped or the user's own, without aliases."""
    return tuple(sorted(_table_paths()))


def shipped_names() -> tuple[str, ...]:
    """Return the names of the tables that come with the package."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob(f"*{_SUFFIX}")))


def load_shipped(name: str) -> LatencyTable:
    """Load a table that comes with the package, whatever tables of the user have its name."""
    return LatencyTable.load(_SHIPPED / f"{name}{_SUFFIX}")


def load_device(name: str | Path) -> LatencyTable:
    """Load the table of a device, of one of its views (`pixel1:tunas`), or of a table file given by its path.

    Raises UserError for an unknown device or view, naming the nearest ones, or for a file that cannot be believed.
    """
    text = str(name)
    if text.endswith(_SUFFIX) or os.path.isfile(text):
        return LatencyTable.load(text)
    device, _, view = text.partition(":")
    path = _table_paths().get(ALIASES.get(device, device))
    if path is None:
        raise UserError(_unknown(device))
    if path.parent == former_folder():
        warnings.warn(f"{path} is in a folder for caches; move it to {user_folder()}", Note, stacklevel=2)
    table = LatencyTable.load(path)
    return table.view(view) if view else table


def _table_paths() -> dict[str, Path]:
    folders = (_SHIPPED, former_folder(), user_folder())
    return {path.stem: path for folder in folders if folder for path in sorted(folder.glob(f"*{_SUFFIX}"))}


def _unknown(device: str) -> str:
    if device == HOST:
        return (
            f"this machine has no latency table yet (expected at {user_table_path(HOST)}); "
            "measure one with `nas lut measure --device host`"
        )
    known = [*device_names(), *ALIASES]
    near = [name for name in difflib.get_close_matches(device, known, n=3) if _digits(name) == _digits(device)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return (
        f"there is no latency table for {quoted(device)}: {hint}`nas devices` lists those there are; measure a phone "
        "at hand with `nas lut measure --device adb`, or make a table from five networks timed on it with "
        "`nas lut calibrate`; "
        f"the path of a table file (*{_SUFFIX}) works as well"
    )


def _digits(name: str) -> str:
    """Return the digits of a name: pixel9 is no slip for pixel4."""
    return "".join(char for char in name if char.isdigit())
