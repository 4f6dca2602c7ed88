"""Scores from a file of known accuracies: the networks of a space that somebody trained, and no others."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from nas.objectives import Values
from nas.predictor import load_accuracy_table
from searchspace.choices import Genotypes
from searchspace.space import SearchSpace
from searchspace.support.errors import UserError
from searchspace.support.files import read_text, sha256_text


@dataclass(frozen=True)
class AccuracyRows:
    """The networks of a table: the part of a space it describes, genotypes (n, choices), top-1 in percent (n,)."""

    space: SearchSpace
    genotypes: Genotypes
    top1: Values
    source: str


class TableEvaluator:
    """Knows the accuracy of the networks of a table; where the table holds several seeds, their mean."""

    def __init__(self, rows: AccuracyRows) -> None:
        self.rows = rows
        self.space = rows.space

    @property
    def label(self) -> str:
        """Where the accuracies come from."""
        return f"known accuracies, {self.rows.source}"

    @cached_property
    def fingerprint(self) -> str:
        """A hash of networks and accuracies."""
        return sha256_text(f"{self.rows.genotypes.tolist()} {self.rows.top1.tolist()}")

    @property
    def basis(self) -> Mapping[str, str]:
        """How much of the space the table holds."""
        return {"accuracy": self.label, "networks": f"{len(self.rows.top1):,} of {self.space.count():,} of the space"}

    @cached_property
    def _known(self) -> dict[bytes, float]:
        keys = (row.tobytes() for row in self.rows.genotypes)
        return dict(zip(keys, self.rows.top1.tolist(), strict=True))

    def lookup(self, genotypes: Genotypes) -> Values:
        """Return top-1 in percent, shape (n,), NaN for networks that the table does not hold."""
        return np.array([self._known.get(row.tobytes(), np.nan) for row in genotypes], dtype=np.float64)

    def top1(self, genotypes: Genotypes) -> Values:
        """Return top-1 in percent, shape (n,); raises UserError for a network that the table does not hold."""
        found = self.lookup(genotypes)
        if np.isnan(found).any():
            raise UserError(
                f"{int(np.isnan(found).sum())} of {len(found)} networks are not in the table of accuracies: "
                "`nas compare` searches only the networks of a table"
            )
        return found


def load_table_evaluator(path: str | Path, space: SearchSpace) -> TableEvaluator:
    """Read a table of the networks of a space: `choices` with `top1...`, or the columns that a predictor is fitted to.

    Raises UserError naming the file and line that does not fit.
    """
    text = read_text(path, "table of accuracies")
    header = text.splitlines()[0].split(",") if text.strip() else []
    if "choices" in header:
        return TableEvaluator(_digit_rows(path, text, space))
    table = load_accuracy_table(path)
    covered = table.layout.covered
    if covered.name != space.name:
        raise UserError(f"{path} holds networks of the space {covered.name}, not of {space.name}: give --space")
    genotypes = table.layout.genotypes(covered, table.rows)
    return TableEvaluator(_distinct(AccuracyRows(covered, genotypes, table.top1, table.layout.source), path))


def _digit_rows(path: str | Path, text: str, space: SearchSpace) -> AccuracyRows:
    """Read one digit a choice and every column that starts with `top1`, of which the mean is taken."""
    lines = list(csv.reader(io.StringIO(text)))
    header = lines[0]
    at = [i for i, name in enumerate(header) if name.startswith("top1")]
    if not at:
        raise UserError(f"{path}: expected a column `top1` beside `choices`, or several such as `top1_seed0`")
    genotypes, top1 = [], []
    for number, line in enumerate(lines[1:], start=2):
        try:
            if len(line) != len(header):
                raise ValueError(f"{len(line)} values, expected {len(header)}; cut short?")
            genotypes.append(space.check([int(digit) for digit in line[header.index("choices")]])[0])
            values = [float(line[i]) for i in at]
            if not all(0 <= value <= 100 for value in values):
                raise ValueError(f"top-1 {values} is not a percentage")
        except (ValueError, UserError) as error:
            raise UserError(f"{path}, line {number}: {str(error)[:120]}") from None
        top1.append(sum(values) / len(values))
    if not top1:
        raise UserError(f"{path}: a header and no networks")
    source = f"{Path(path).name}, mean of {', '.join(header[i] for i in at)}"
    return _distinct(AccuracyRows(space, np.stack(genotypes), np.array(top1), source), path)


def _distinct(rows: AccuracyRows, path: str | Path) -> AccuracyRows:
    _, first, count = np.unique(rows.genotypes, axis=0, return_index=True, return_counts=True)
    if (count > 1).any():
        line = int(first[count > 1][0]) + 2
        raise UserError(f"{path}: {int((count > 1).sum())} networks stand there twice, the first in line {line}")
    return rows
