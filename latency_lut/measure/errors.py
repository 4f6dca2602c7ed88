"""What measuring needs and does not find, as errors that the user can act on."""

from __future__ import annotations

from searchspace.support.errors import UserError


def missing_package(purpose: str, error: ImportError) -> UserError:
    """Return the error that says which package `purpose` needs and how to install it."""
    return UserError(f"{purpose} needs the package {error.name}; install it with: pip install 'phone-nas[litert]'")
