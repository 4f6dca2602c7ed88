"""What the outside sees of a running experiment: its page, which grows part by part, and Ray's metrics in a Ray job."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nas.engines import Engine
from nas.jobs.reproduce.findings import Findings
from nas.jobs.reproduce.page import experiment_page
from nas.jobs.reproduce.settings import ReproduceSettings
from nas.runs import RunFolder
from nas.runs.folder import REPORT

Titled = list[tuple[str, str, Findings]]


@dataclass
class ExperimentWatch:
    """Writes an experiment's page: after each part, and meanwhile, at most every `every_s` seconds, how far it is."""

    title: str
    about: str
    settings: ReproduceSettings
    folder: RunFolder
    engine: Engine | None = None
    every_s: float = 2.0
    _written: float = field(default=float("-inf"))

    def reporting(
        self, stage: str, parts: Titled, report: Callable[[float, float], None]
    ) -> Callable[[float, float], None]:
        """Return what takes (done, total) of a part that runs, shows it, and passes it on."""

        def told(done: float, total: float) -> None:
            report(done, total)
            now = time.monotonic()
            if now - self._written >= self.every_s:
                self._written = now
                share = done / total if total else 0.0
                self._show(parts, f"{stage}: {share:.0%}", share)

        self._show(parts, stage, 0.0)
        return told

    def finished(self, parts: Titled) -> None:
        """Write the page of an experiment that is done."""
        self._show(parts, None, 0.0)

    def _show(self, parts: Titled, running: str | None, share: float) -> None:
        page = experiment_page(self.title, self.about, parts, self.settings, running)
        self.folder.write(REPORT, page)
        if self.engine is not None:
            self.engine.report({"parts": len(parts), "part_share": share})
