"""`nas ... --resume RUN` with nothing else: each job goes on by the settings that its folder holds.

Those of `nas search`, `train`, `netadapt` and `cells` stand beside their tests of killed runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from nas.cli import app
from nas.jobs.reproduce import experiments
from nas.jobs.reproduce.findings import Findings
from nas.jobs.reproduce.pipeline import Context, Experiment, Stage
from nas.jobs.reproduce.settings import Scale

RANK = (
    "rank", "--data", "digits", "--subset", "200", "--space", "mobile", "--image-size", "8", "--networks", "10",
    "--epochs", "1", "--alone-epochs", "1", "--search-images", "100", "--supernet-training", "fair",
    "--batch-size", "50",
)  # fmt: skip


def nas(*arguments: str | Path, status: int = 0) -> Any:
    result = CliRunner().invoke(app.app, [*map(str, arguments)], env={"COLUMNS": "100"})
    assert result.exit_code == status, result.output + str(result.exception)
    return result


def settings_of(run: Path) -> dict[str, Any]:
    return yaml.safe_load((run / "settings.yaml").read_text())


def test_a_ranking_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    whole = json.loads(nas(*RANK, "--out", run, "--json").stdout)
    (run / "result.json").unlink()
    assert json.loads(nas("rank", "--resume", run, "--json").stdout) == whole
    assert settings_of(run)["supernet"]["mode"] == "fair"
    assert (
        "--networks: a run goes on with its own settings"
        in nas("rank", "--resume", run, "--networks", "12", status=2).stderr
    )
    assert "was given without --resume" in nas("rank", run, "--data", "digits", status=2).stderr
    assert "no run of nas cells search but one of nas rank" in nas("cells", "search", "--resume", run, status=2).stderr


def test_an_experiment_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def stopped_once(context: Context) -> Findings:
        seen.append(context.settings)
        if len(seen) == 1:
            raise KeyboardInterrupt
        return Findings(text=("done",))

    stages = (Stage("a", "A", lambda context: Findings()), Stage("b", "B", stopped_once))
    monkeypatch.setattr(
        experiments, "experiment", lambda name: Experiment(name=name, title="t", about="a", stages=stages)
    )
    run = tmp_path / "run"
    nas("reproduce", "mobilenext", "--scale", "quick", "--seed", "3", "--out", run, status=130)
    assert json.loads(nas("reproduce", "--resume", run, "--json").stdout)["stages"].keys() == {"a", "b"}
    assert seen[0] == seen[1] and seen[1].scale is Scale.QUICK and seen[1].seed == 3
    again = nas("reproduce", "mobilenext", "--scale", "quick", "--seed", "3", "--out", run, "--resume")
    assert "already finished" in " ".join(again.stderr.split())
    assert "--seed: a run goes on" in nas("reproduce", run, "--resume", "--seed", "4", status=2).stderr


def test_what_is_no_run_or_another_jobs_is_refused(tmp_path: Path) -> None:
    for job in ("search", "train", "netadapt", "rank", "reproduce"):
        assert "holds no run to resume" in nas(job, "--resume", tmp_path, status=2).stderr
    assert "unknown experiment" in nas("reproduce", tmp_path, status=2).stderr
    assert "--torch-device is for" in nas("reproduce", "phones", "--torch-device", "cpu", status=2).stderr
