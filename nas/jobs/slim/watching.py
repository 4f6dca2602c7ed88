"""What the outside sees of a running slimming: the engine's dashboard and the run's own page."""

from __future__ import annotations

from nas.engines import Engine
from nas.jobs.slim.run import SlimJob, SlimObserver
from nas.jobs.slim.tuning import FinalOutcome
from nas.report.live import LivePage
from nas.runs.folder import REPORT
from netadapt.iterations import Step


class SlimWatch:
    """Shows how far a slimming is on the engine's dashboard and on `report.html`, and passes everything on."""

    def __init__(self, job: SlimJob, engine: Engine, other: SlimObserver, every_s: float = 2.0) -> None:
        self._engine, self._other, self._unit = engine, other, job.pricer.resource.unit
        self._target, self._initial = self._cost(job.target), self._cost(job.initial_cost.value)
        facts = {name.replace("_", " "): str(value) for name, value in job.folder.settings.items() if value is not None}
        self._page = LivePage(job.folder.file(REPORT), f"Slimming to {self._target}", facts, every_s)
        self._phase, self._tuned, self._trained = "starting", "", ("none yet", "")
        self._last: Step | None = None

    def phase(self, name: str) -> None:
        """Show the part that starts."""
        self._phase, self._last, self._tuned = name, None, ""
        self._show({})
        self._other.phase(name)

    def proposals(self, finished: int, of: int) -> None:
        """Show how many proposals of the step are tuned."""
        self._tuned = f"{finished} of {of} proposals tuned"
        self._show({"queue": of - finished})
        self._other.proposals(finished, of)

    def step(self, step: Step) -> None:
        """Show the step that was accepted."""
        self._last = step
        self._show({"step": step.step, "cost": step.cost, "top1": step.accuracy})
        self._other.step(step)

    def final(self, name: str, outcome: FinalOutcome, finished: int, of: int) -> None:
        """Show a final training."""
        self._trained = (f"{finished} of {of}", f"{name}: {outcome.test.top1:.2f} % on test images")
        self._show({"queue": of - finished})
        self._other.final(name, outcome, finished, of)

    def _show(self, figures: dict[str, float]) -> None:
        if figures:
            self._engine.report(figures)
        last = self._last
        cost, top1 = (self._initial, "") if last is None else (self._cost(last.cost), f"{last.accuracy:.2f} %")
        self._page.update(
            [
                ("now", self._phase, self._tuned),
                ("steps", str(0 if last is None else last.step), ""),
                ("predicted cost", cost, f"from {self._initial}, target {self._target}"),
                ("top-1", top1 or "none yet", "on the search split, after the last step"),
                ("final trainings", *self._trained),
            ]
        )

    def _cost(self, value: float) -> str:
        return f"{value:.2f} {self._unit}" if self._unit else f"{value / 1e6:.2f} M"
