"""Reading accuracy tables: CSV files in one of the known layouts."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas.predictor._layouts import LAYOUTS, Layout, Rows
from searchspace.support.errors import UserError
from searchspace.support.files import read_text


class AccuracyTable(NamedTuple):
    """Networks with known accuracies: rows (n, columns of the layout) and top-1 in percent (n,)."""

    layout: Layout
    rows: Rows
    top1: NDArray[np.float64]


def load_accuracy_table(path: str | Path) -> AccuracyTable:
    """Read a CSV file whose header tells its layout; columns that no layout knows are ignored.

    Raises UserError naming the file, line and column of what cannot be read, or when no layout fits.
    """
    lines = list(csv.reader(read_text(path, "accuracy table").splitlines()))
    header = lines[0] if lines else []
    layout = _layout_of(header, path)
    wanted = [header.index(column.name) for column in layout.columns]
    accuracy_at = header.index(layout.accuracy)
    rows, top1 = [], []
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise UserError(f"{path}, line {number}: {len(line)} values, expected {len(header)}; cut short?")
        rows.append(_row(line, wanted, layout, f"{path}, line {number}"))
        top1.append(_accuracy(line[accuracy_at], f"{path}, line {number}, {layout.accuracy}"))
    if not rows:
        raise UserError(f"{path}: a header and no networks")
    return AccuracyTable(layout, np.array(rows, dtype=np.int16), np.array(top1))


def _layout_of(header: Sequence[str], path: str | Path) -> Layout:
    for layout in LAYOUTS.values():
        if {layout.accuracy, *(column.name for column in layout.columns)} <= set(header):
            return layout
    expected = "; ".join(
        f"{name}: {layout.columns[0].name} ... {layout.columns[-1].name}, {layout.accuracy}"
        for name, layout in LAYOUTS.items()
    )
    raise UserError(
        f"{path}: no predictor knows these columns; expected those of one of: {expected}. "
        "For the networks of another space train a supernet: `nas rank` and `nas search` with --data"
    )


def _row(line: Sequence[str], wanted: Sequence[int], layout: Layout, place: str) -> list[int]:
    row = []
    for column, at in zip(layout.columns, wanted, strict=True):
        allowed = {str(value): value for value in column.values}
        if line[at] not in allowed:
            raise UserError(f"{place}: {column.name} is {line[at]!r}, expected one of {', '.join(allowed)}")
        row.append(allowed[line[at]])
    return row


def _accuracy(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise UserError(f"{place}: {text!r} is not a percentage")
    return value
