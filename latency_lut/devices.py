"""Devices by name: the tables that ship with the package, and those that the user has measured.

Shipped tables are `latency_lut/data/NAME.csv`. A measured table belongs in `user_folder()`: `$NAS_HOME/tables`, or
`~/.cache/nas/tables` where NAS_HOME is not set; it goes before a shipped table of the same name.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

from latency_lut.table import LatencyTable
from searchspace.support.errors import UserError

HOST = "host"
ALIASES = {"pixel": "pixel1", "s10": "galaxy_s10"}
_SHIPPED = Path(__file__).parent / "data"
_SUFFIX = ".csv"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}")


def user_folder() -> Path:
    """Return the folder of the tables that the user has measured or calibrated."""
    home = os.environ.get("NAS_HOME")
    return (Path(home) if home else Path.home() / ".cache" / "nas") / "tables"


def user_table_path(device: str) -> Path:
    """Return where the measured table of a device belongs; raises UserError for what cannot be a device's name."""
    if not _NAME.fullmatch(device):
        raise UserError(
            f"{device!r} cannot name a device: use letters, digits, `_`, `-` and `.`, a letter or digit first"
        )
    return user_folder() / f"{device}{_SUFFIX}"


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
    table = LatencyTable.load(path)
    return table.view(view) if view else table


def _table_paths() -> dict[str, Path]:
    folders = (_SHIPPED, user_folder())
    return {path.stem: path for folder in folders for path in sorted(folder.glob(f"*{_SUFFIX}"))}


def _unknown(device: str) -> str:
    if device == HOST:
        return (
            f"this machine has no latency table yet (expected at {user_table_path(HOST)}); "
            "measure one with `nas lut measure --device host`"
        )
    known = [*device_names(), *ALIASES]
    near = difflib.get_close_matches(device, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known) or 'none'}"
    return f"unknown device {device!r}: {hint}; the path of a table file (*{_SUFFIX}) works as well"
