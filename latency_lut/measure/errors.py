"""What measuring needs and does not find, as errors that the user can act on."""

from __future__ import annotations

import searchspace.support.optional as optional
from searchspace.support.errors import UserError


def missing_package(purpose: str, error: ImportError) -> UserError:
    """Return the error that says which package `purpose` needs and how to install it."""
    return optional.missing_package(purpose, "litert", error)
