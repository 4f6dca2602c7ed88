"""Pillow, imported when the first image is opened: training on other data goes without it."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

from searchspace.support.optional import optional_import


@cache
def pillow(module: str = "Image") -> Any:
    """Return a module of Pillow; raises MissingPackage where it is not installed."""
    found = optional_import(f"PIL.{module}", purpose="reading images", extra="data")
    if module == "Image":
        # Pillow warns about large images; they are refused, or decoded at a reduced scale.
        warnings.filterwarnings("ignore", category=found.DecompressionBombWarning)
    return found
