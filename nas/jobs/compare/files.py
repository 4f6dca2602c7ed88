"""The files of a comparison: the table and the curves as CSV, the picture, the page, the result."""

from __future__ import annotations

import csv
import io
from typing import Any

from nas.jobs.compare.page import compare_page, draw_curves
from nas.report.drawing import write_picture
from nas.runs.folder import REPORT, RunFolder

CURVES_CSV, CURVES_PNG = "curves.csv", "curves.png"


def write_compare_files(folder: RunFolder, result: dict[str, Any]) -> None:
    """Write everything, `result.json` last."""
    folder.write(CURVES_CSV, curves_csv(result))
    write_picture(folder, CURVES_PNG, lambda: draw_curves(result))
    folder.write(REPORT, compare_page(result))
    folder.finish(result)


def curves_csv(result: dict[str, Any]) -> str:
    """Return mean regret and hypervolume over evaluations, one row a strategy and count, as CSV text."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("strategy", "evaluations", "regret_mean", "hypervolume_mean"))
    for name, found in result["strategies"].items():
        for count, means in found["over_time"].items():
            writer.writerow((name, count, f"{means['regret_mean']:.4f}", f"{means['hypervolume_mean']:.4f}"))
    return buffer.getvalue()
