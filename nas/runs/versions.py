"""What decides a run's numbers beside its settings: the versions of packages, and the project's own code."""

from __future__ import annotations

import hashlib
import importlib.util
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

import nas

_VERSIONED = ("numpy", "torch", "lightgbm", "ai-edge-litert")
_OURS = ("searchspace", "latency_lut", "netadapt", "nas")


def versions() -> dict[str, str]:
    """Return the versions of this project, its code, Python and the packages that decide a run's numbers."""
    found = {"nas": nas.__version__, "code": code_fingerprint(), "python": platform.python_version()}
    for package in _VERSIONED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


@cache
def code_fingerprint() -> str:
    """Return 12 hexadecimal digits that change with any line of the project's code."""
    found = hashlib.sha256()
    for name in _OURS:
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None
        root = Path(spec.origin).parent
        for path in sorted(root.rglob("*.py")):
            found.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]
