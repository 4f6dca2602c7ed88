"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published measurements and images, which is not part of the repository."""
    folder = Path(os.environ.get("NAS_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the published measurements and images in {folder} (set NAS_SHARED_DATA)")
    return folder
