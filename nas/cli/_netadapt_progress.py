"""The progress of a slimming run: step, cost, accuracy, proposals done, time left."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nas.cli._lines import TimedLines
from nas.jobs.slim.run import SlimJob
from nas.jobs.slim.tuning import FinalOutcome
from netadapt.iterations import Step

if TYPE_CHECKING:
    from rich.console import Console


class SlimProgress:
    """Draws one bar for each phase; the way to the target is measured in what has been saved."""

    def __init__(self, console: Console, job: SlimJob) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._console, self._job = console, job
        self._unit = job.pricer.resource.unit
        self._progress = Progress(
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),  # first: a narrow terminal cuts the end
            BarColumn(bar_width=12),
            TextColumn("{task.description}  {task.fields[note]}"),
            console=console,
            speed_estimate_period=3600,
        )
        self._task: Any = None
        self._step = 0
        self._note = ""
        self._lines: TimedLines | None = None
        self._saved = 0.0  # share of the way to the target
        self._step_share = 0.0  # share of the way that a step takes, by the steps so far

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def phase(self, name: str) -> None:
        """Start a new bar; what is left of the cost makes its length."""
        if self._task is not None:
            self._progress.stop_task(self._task)
        self._step, self._note, self._saved, self._step_share = 0, "", 0.0, 0.0
        self._lines = None if self._console.is_terminal else TimedLines(self._console, name)
        self._task = self._progress.add_task(name, total=None, note="")

    def proposals(self, finished: int, of: int) -> None:
        """Show how many proposals of the present step have been tuned."""
        if self._lines is not None and finished < of:
            done = min(self._saved + self._step_share * finished / of, 0.999)
            self._lines.update(done, 1, f"step {self._step + 1}, proposal {finished} of {of}")
        self._update(note=f"step {self._step + 1}, proposal {finished}/{of}{self._note}")

    def step(self, step: Step) -> None:
        """Move the bar by what the step saved, and keep a line of it where nobody watches."""
        job, self._step = self._job, step.step
        cost = f"{step.cost:.2f} {self._unit}" if self._unit else f"{step.cost:,.0f}"
        self._note = f"  {cost}  top-1 {step.accuracy:.2f} %"
        saved, needed = job.initial_cost.upper - step.upper, job.initial_cost.upper - job.target
        self._saved = min(saved / needed, 1.0) if needed > 0 else 1.0
        self._step_share = self._saved / max(step.step, 1)
        self._update(total=needed, completed=min(saved, needed), note=f"step {step.step}{self._note}")
        if not self._console.is_terminal:
            change = f"{step.group} {step.before} > {step.after}"
            self._console.print(f"step {step.step}: {change}{self._note}", soft_wrap=True)

    def final(self, name: str, outcome: FinalOutcome, finished: int, of: int) -> None:
        """Show a finished network's accuracy."""
        note = f"{finished}/{of}  {name.removeprefix('netadapt final: ')}: {outcome.test.top1:.2f} %"
        self._update(total=of, completed=finished, note=note)
        if self._lines is not None:
            self._console.print(note, soft_wrap=True)
            self._lines.update(finished, of)

    def _update(self, **fields: Any) -> None:
        if self._task is not None:
            self._progress.update(self._task, **fields)
