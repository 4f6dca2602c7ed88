"""Searches killed at random moments, some kills of those that `benchmarks/kill_resume.py` does by the hundred."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_searches_go_on_to_the_same_bytes() -> None:
    command = [sys.executable, "benchmarks/kill_resume.py", "--kills", "6", "--seed", "7"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = [line for line in ended.stdout.splitlines() if "kills (" in line]
    assert len(lines) == 3 and all("2 kills" in line and ", 0 differ" in line for line in lines)
