"""The page of a job that still runs: it loads itself again until the report takes its place."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nas.report import sections
from nas.report.page import Figure, Section, render_page
from searchspace.support.files import write_atomic

REFRESH_SECONDS = 5


@dataclass
class LivePage:
    """Writes the page at `path`, at most every `every_s` seconds."""

    path: Path
    title: str
    facts: Mapping[str, str]
    every_s: float = 2.0
    _written: float = field(default=float("-inf"))

    def update(self, figures: Sequence[tuple[str, str, str]]) -> None:
        """Show figures (label, value, note) unless the page is still new."""
        now = time.monotonic()
        if now - self._written < self.every_s:
            return
        self._written = now
        page = render_page(
            title=self.title,
            subtitle=f"running; last news {time.strftime('%Y-%m-%d %H:%M:%S')}",
            figures=[Figure(*figure) for figure in figures],
            sections=[
                Section("What runs", sections.facts(self.facts), "The report takes this page's place at the end.")
            ],
            footer=f"This page loads itself again every {REFRESH_SECONDS} seconds.",
            refresh_seconds=REFRESH_SECONDS,
        )
        write_atomic(self.path, page)
