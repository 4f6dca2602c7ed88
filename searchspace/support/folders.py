"""The project's two folders outside a working folder: one for a user's data, one cache that may be deleted.

Data (measured latency tables): `$NAS_HOME`, else `$XDG_DATA_HOME/phone-nas`, else `~/.local/share/phone-nas`.
Cache (decoded images): `$NAS_CACHE`, else `$XDG_CACHE_HOME/phone-nas`, else `~/.cache/phone-nas`.
As the XDG base directory specification asks, a variable that is empty or holds a relative path counts as not set.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

APPLICATION = "phone-nas"


def data_folder() -> Path:
    """Return the folder of what the user has made and wants to keep."""
    return _folder("NAS_HOME", "XDG_DATA_HOME", ".local/share")


def cache_folder() -> Path:
    """Return the folder of what can be made again at any time."""
    return _folder("NAS_CACHE", "XDG_CACHE_HOME", ".cache")


def former_data_folder() -> Path:
    """Return where releases up to 0.1 kept a user's data, in a place that people wipe."""
    return home_folder() / ".cache" / "nas"


def home_folder() -> Path:
    """Return the home folder; for a user without one (containers, service accounts) a folder for temporary files."""
    try:
        home = Path.home()
    except (RuntimeError, KeyError):
        home = Path("/nonexistent")
    if home.is_absolute() and home != Path("/") and home.is_dir():
        return home
    return Path(tempfile.gettempdir()) / f"{APPLICATION}-{os.getuid() if hasattr(os, 'getuid') else 'home'}"


def _folder(own: str, xdg: str, below_home: str) -> Path:
    if configured := os.environ.get(own):
        return Path(configured).expanduser()
    base = os.environ.get(xdg, "")
    if os.path.isabs(base):
        return Path(base) / APPLICATION
    return home_folder() / below_home / APPLICATION
