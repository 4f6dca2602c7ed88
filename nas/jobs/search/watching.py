"""What the outside sees of a running search: the engine's dashboard and the run's own page."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nas.engines import Engine
from nas.jobs.search.found import Progress
from nas.jobs.search.trials import Trials
from nas.report.live import LivePage
from searchspace.support.quantities import milliseconds


@dataclass
class SearchWatch:
    """Passes on how far a search is, after each batch and after each task of it."""

    engine: Engine
    page: LivePage
    progress: Callable[[Progress], None]
    images: int = 0
    _last: Progress | None = field(default=None)
    _trials: Trials | None = field(default=None)
    _started: float = field(default_factory=time.monotonic)

    def batch_done(self, state: Progress) -> None:
        """Take the state of the search after a batch."""
        self._last = state
        self.progress(state)
        self._show()

    def task_done(self, trials: Trials) -> None:
        """Take the state of the trials after a task."""
        self._trials = trials
        self._show()

    def _show(self) -> None:
        figures = self._figures()
        self.engine.report(figures)
        best = figures.get("best_top1")
        total = self._last.total if self._last is not None else 0
        self.page.update(
            [
                ("evaluated", f"{int(figures['evaluations']):,}", f"of {total:,} networks"),
                (
                    "best so far",
                    "none yet" if best is None else f"{best:.2f} %",
                    "" if best is None else f"at {milliseconds(figures['best_latency_ms'])} ms",
                ),
                ("front", f"{int(figures['front_size'])}", "networks"),
                ("being scored", f"{int(figures['queue'])}", "networks"),
                ("failures", f"{int(figures['failures'])}", "noted in trials.jsonl"),
            ]
        )

    def _figures(self) -> dict[str, float]:
        state, trials = self._last, self._trials
        scored = trials.scored if trials is not None else 0
        figures: dict[str, float] = {
            "evaluations": state.evaluations if state is not None else 0,
            "front_size": state.front if state is not None else 0,
            "queue": trials.queue if trials is not None else 0,
            "failures": trials.failures if trials is not None else 0,
        }
        if self.images:
            figures["images_per_second"] = scored * self.images / max(time.monotonic() - self._started, 1e-9)
        if state is not None and state.top1 is not None and state.latency_ms is not None:
            figures |= {"best_top1": state.top1, "best_latency_ms": state.latency_ms}
        return figures
