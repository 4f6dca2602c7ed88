"""`kill -9` in every stage of an experiment at the quick scale, then on: the result of an unbroken run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nas.jobs.reproduce.experiments import experiment

NAS = [sys.executable, "-m", "nas", "reproduce"]
TIMES = ("seconds", "minutes")  # differ from run to run
NAMED_BY_TIME = "search, min"  # a column of the cells' table


def whole(name: str, folder: Path, *more: str) -> dict[str, Any]:
    done = subprocess.run(
        [*NAS, *more, "--json"] if more else [*NAS, name, "--scale", "quick", "--out", str(folder), "--json"],
        capture_output=True, text=True, timeout=1500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return timeless(json.loads(done.stdout)["stages"])


def timeless(value: Any) -> Any:
    """Return a result without what a clock said."""
    if isinstance(value, dict):
        kept = {key: timeless(one) for key, one in value.items() if not key.endswith(TIMES)}
        if NAMED_BY_TIME in value.get("columns", ()):
            at = value["columns"].index(NAMED_BY_TIME)
            kept["rows"] = [[cell for number, cell in enumerate(row) if number != at] for row in value["rows"]]
        return kept
    return [timeless(one) for one in value] if isinstance(value, list) else value


def killed_in(stage: Path, *command: str) -> bool:
    """Run until the stage has written something, kill at once; return whether that was before its end."""
    process = subprocess.Popen([*NAS, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (stage.exists() and any(stage.iterdir())):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    _, error = process.communicate()
    assert stage.exists(), f"ended before {stage.name}: {error}"
    return not (stage / "result.json").exists()


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", ["mobilenext", "mobilenetv3"])
def test_an_experiment_killed_in_every_stage_ends_the_same(tmp_path, name):
    expected = whole(name, tmp_path / "whole")
    folder = tmp_path / "killed"
    within = []
    for number, stage in enumerate(experiment(name).stages, start=1):
        place = folder / f"{number:02d}-{stage.name}"
        command = ("--resume", str(folder)) if number > 1 else (name, "--scale", "quick", "--out", str(folder))
        if killed_in(place, *command):
            within.append(stage.name)
    # The tables take a moment: a kill may find them finished.
    assert {stage.name for stage in experiment(name).stages} - set(within) <= {"tables"}
    assert whole(name, folder, "--resume", str(folder)) == expected
