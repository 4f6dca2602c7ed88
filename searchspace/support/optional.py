"""Packages that only a part of the project needs: imported when used, named with their extra when missing."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from searchspace.support.errors import UserError


class MissingPackage(UserError):
    """A package that an optional part needs and that is not installed; `package` is its import name."""

    def __init__(self, message: str, package: str = "") -> None:
        super().__init__(message)
        self.package = package


def optional_import(module: str, *, purpose: str, extra: str = "") -> Any:
    """Import a module of an optional package.

    Raises MissingPackage that says what `purpose` needs and which extra of this project brings it; `extra` is
    empty for a package that every installation should have.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: a shared library that the package loads is missing
        raise missing_package(purpose, extra, error, module) from error


def missing_package(purpose: str, extra: str, error: Exception, module: str = "") -> MissingPackage:
    """Return the error that says which package `purpose` needs and how to install it."""
    package = (getattr(error, "name", None) or module).partition(".")[0]
    reason = "" if isinstance(error, ModuleNotFoundError) else f" ({error})"
    remedy = f"'phone-nas[{extra}]', or in a clone: scripts/setup.sh {extra}" if extra else package
    return MissingPackage(
        f"{purpose} needs the package {package}{reason}; install it with: pip install {remedy}", package
    )


def is_installed(package: str) -> bool:
    """Whether a top-level package can be found, without importing it."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
