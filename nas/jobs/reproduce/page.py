"""The page of an experiment: the paper's figure, ours, and the reason for the difference side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence

from markupsafe import Markup

from nas.jobs.reproduce.findings import Findings
from nas.jobs.reproduce.settings import ReproduceSettings, Scale
from nas.report import sections
from nas.report.live import REFRESH_SECONDS
from nas.report.page import Figure, Section, render_page

_SCALES = {
    Scale.QUICK: "A quick run: it shows that every part works, its accuracies say nothing about the paper's.",
    Scale.DEFAULT: "Run at a scale for two processor cores; what was made smaller is said with each part.",
    Scale.FULL: "Run at the paper's scale.",
}


def experiment_page(
    title: str,
    about: str,
    stages: Sequence[tuple[str, str, Findings]],
    settings: ReproduceSettings,
    running: str | None = None,
) -> str:
    """Return the HTML text of an experiment's page from its finished stages: folder name, title, findings.

    `running` says how far the stage is that runs now: the page then loads itself again.
    """
    parts = [section for folder, name, findings in stages for section in _sections(folder, name, findings)]
    given = {"scale": str(settings.scale), "images": settings.images, "seed": str(settings.seed)}
    for name in ("table", "weights", "latencies", "cell_data", "seeds"):
        if getattr(settings, name) is not None:
            given[name.replace("_", " ")] = str(getattr(settings, name))
    compared = sum(len(findings.comparisons) for _, _, findings in stages)
    return render_page(
        title=title,
        subtitle=f"{about} {_SCALES[settings.scale]}",
        figures=[
            Figure("parts finished", str(len(stages)), ""),
            Figure("figures of the paper beside ours", str(compared), ""),
            *([] if running is None else [Figure("running", running, f"at {time.strftime('%Y-%m-%d %H:%M:%S')}")]),
        ],
        sections=[*parts, Section("Settings", sections.facts(given))],
        footer="Every figure here stands in result.json; each part's own files lie in its folder.",
        refresh_seconds=None if running is None else REFRESH_SECONDS,
    )


def _sections(folder: str, title: str, findings: Findings) -> list[Section]:
    found = []
    paragraphs = Markup("").join(Markup("<p>{}</p>\n").format(text) for text in findings.text)
    note = f"Made smaller than the paper's: {findings.scaled_down}" if findings.scaled_down else ""
    if findings.comparisons:
        rows = [(entry.what, entry.paper, entry.ours, entry.why) for entry in findings.comparisons]
        paragraphs += sections.table(("", "paper", "ours", "why they differ"), rows)
    found.append(Section(title, paragraphs, note))
    for table in findings.tables:
        numbers = range(table.numbers, len(table.columns))
        found.append(Section(table.title, sections.table(table.columns, table.rows, numbers=numbers), table.note))
    for picture in findings.pictures:
        image = Markup('<figure><img src="{}/{}" alt="{}"></figure>').format(folder, picture.file, picture.title)
        found.append(Section(picture.title, image, picture.note))
    return found
