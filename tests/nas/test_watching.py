"""What is seen of slimmings and experiments while they run: a page that loads itself again, figures of the engine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nas.engines import InProcessEngine, watching_engine
from nas.jobs.reproduce.findings import Comparison, Findings
from nas.jobs.reproduce.page import experiment_page
from nas.jobs.reproduce.settings import ReproduceSettings
from nas.jobs.reproduce.watching import ExperimentWatch
from nas.jobs.slim.tuning import FinalOutcome
from nas.jobs.slim.watching import SlimWatch
from nas.runs import RunFolder
from nas.training.evaluation import Accuracy
from netadapt.iterations import Step

REFRESHES = '<meta http-equiv="refresh" content="5">'


class Dashboard(InProcessEngine):
    """Keeps the figures it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.figures: dict[str, float] = {}

    def report(self, figures):
        self.figures.update(figures)


def test_a_running_slimming_shows_steps_cost_and_top1(tmp_path: Path) -> None:
    told: list[str] = []
    other = SimpleNamespace(
        phase=told.append,
        proposals=lambda finished, of: told.append(f"{finished}/{of}"),
        step=lambda step: told.append(f"step {step.step}"),
        final=lambda name, outcome, finished, of: told.append(name),
    )
    job: Any = SimpleNamespace(
        pricer=SimpleNamespace(resource=SimpleNamespace(unit="ms")),
        target=40.0,
        initial_cost=SimpleNamespace(value=60.0),
        folder=RunFolder(tmp_path, {"network": "mobilenet_v2", "device": "pixel"}),
    )
    engine = Dashboard()
    watch = SlimWatch(job, engine, other, every_s=0)
    watch.phase("slimming")
    watch.proposals(3, 12)
    assert engine.figures["queue"] == 9
    step = Step(
        step=2, group="g", before=32, after=24, cost_before=58.0, cost=55.5, upper=57.0, accuracy_before=70.0,
        accuracy=69.25, score=69.25, architecture="", tried=(), asked=2.5, seconds=1.0,
    )  # fmt: skip
    watch.step(step)
    page = (tmp_path / "report.html").read_text()
    assert REFRESHES in page and "55.50 ms" in page and "target 40.00 ms" in page and "69.25 %" in page
    assert "3 of 12 proposals tuned" in page and "mobilenet_v2" in page
    accuracy = Accuracy(top1=71.5, top5=90.0, loss=1.0, count=100)
    watch.final("netadapt, fine-tuned", FinalOutcome(accuracy, accuracy, {}), 1, 4)
    assert "netadapt, fine-tuned: 71.50 % on test images" in (tmp_path / "report.html").read_text()
    assert engine.figures == {"queue": 3, "step": 2, "cost": 55.5, "top1": 69.25}
    assert told == ["slimming", "3/12", "step 2", "netadapt, fine-tuned"]


def test_a_running_experiment_shows_its_finished_parts_and_how_far_the_next_one_is(tmp_path: Path) -> None:
    settings, engine = ReproduceSettings(experiment="mobilenext"), Dashboard()
    watch = ExperimentWatch("An experiment", "About.", settings, RunFolder(tmp_path), engine, every_s=0)
    parts = [("01-tables", "Tables", Findings(comparisons=[Comparison(what="top-1", paper="74.0", ours="73.1")]))]
    seen: list[tuple[float, float]] = []
    watch.reporting("Searches", parts, lambda done, total: seen.append((done, total)))(1, 4)
    page = (tmp_path / "report.html").read_text()
    assert REFRESHES in page and "Searches: 25%" in page and "73.1" in page
    assert seen == [(1, 4)] and engine.figures == {"parts": 1, "part_share": 0.25}
    watch.finished(parts)
    page = (tmp_path / "report.html").read_text()
    assert page == experiment_page("An experiment", "About.", parts, settings) and REFRESHES not in page


def test_figures_go_to_ray_within_a_ray_job_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import nas.engines._open as opening

    assert type(watching_engine()) is InProcessEngine
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    monkeypatch.setattr(opening, "open_engine", lambda name: name)
    assert watching_engine() == "ray"
