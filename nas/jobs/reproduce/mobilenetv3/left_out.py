"""Predictions by fits without the network and its kin: read from the shipped file, or made anew from measurements.

`python -m nas.jobs.reproduce.mobilenetv3.left_out FOLDER` writes the file again; FOLDER holds the published latencies.
"""

from __future__ import annotations

import csv
import io
import sys
from importlib.resources import files
from pathlib import Path

from latency_lut.calibrate.rebuilt import Rebuilt, rebuilt
from searchspace.support.files import write_atomic

_FILE = "left_out.csv"


def shipped_rows() -> list[Rebuilt]:
    """Return the rows as they were computed when the shipped tables were made."""
    text = (files(__package__) / "data" / _FILE).read_text(encoding="utf-8")
    return [
        Rebuilt(
            row["device"], row["precision"], row["view"], row["label"], float(row["published_ms"]),
            float(row["left_out_ms"]), row["used"] == "yes",
        )
        for row in csv.DictReader(io.StringIO(text))
    ]  # fmt: skip


def rows_text(rows: list[Rebuilt]) -> str:
    """Return the rows as CSV text, predictions to a hundredth of a millisecond."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(Rebuilt._fields)
    for row in rows:
        writer.writerow([*row[:4], f"{row.published_ms:g}", f"{row.left_out_ms:.2f}", "yes" if row.used else "no"])
    return buffer.getvalue()


def found_rows(folder: str | None) -> list[Rebuilt]:
    """Return the shipped rows, or those that the measurements in a folder give."""
    return shipped_rows() if folder is None else rebuilt(Path(folder))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write_atomic(Path(__file__).parent / "data" / _FILE, rows_text(rebuilt(Path(sys.argv[1]))))
