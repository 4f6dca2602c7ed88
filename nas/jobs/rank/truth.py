"""What is known of the networks that are ranked: published accuracies, or those of trainings of their own."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.objectives import Values
from searchspace.choices import Genotypes
from searchspace.space import SearchSpace
from searchspace.support.errors import UserError
from searchspace.support.files import read_text, sha256_text

# Networks to compare are drawn with a seed of their own, so that every run of a space compares the same ones.
NETWORKS_SEED = 20_240


@dataclass(frozen=True)
class Truth:
    """Networks (n, choices) with what is known of them: top-1 in percent (n,), and where it comes from."""

    genotypes: Genotypes
    top1: Values
    source: str

    @property
    def fingerprint(self) -> str:
        """A hash of which networks are compared."""
        return sha256_text("\n".join(",".join(map(str, row)) for row in self.genotypes.tolist()))


def published(path: str | Path, space: SearchSpace, networks: int) -> Truth:
    """Read accuracies from a CSV file: a column `choices` of value indices, columns that start with `top1`.

    At most `networks` of them, always the same ones. Raises UserError naming the row that does not fit the space.
    """
    rows = list(csv.DictReader(io.StringIO(read_text(path, "file of accuracies"))))
    columns = [name for name in (rows[0] if rows else {}) if name.startswith("top1")]
    if not columns or "choices" not in rows[0]:
        raise UserError(f"{path}: expected the columns `choices` (one digit a choice) and `top1...`")
    order = np.random.default_rng(NETWORKS_SEED).permutation(len(rows))[:networks]
    genotypes, top1 = [], []
    for number in sorted(order.tolist()):
        row = rows[number]
        try:
            genotypes.append([int(digit) for digit in row["choices"]])
            top1.append(float(np.mean([float(row[column]) for column in columns])))
            space.check(genotypes[-1])
        except (ValueError, TypeError, UserError) as error:
            raise UserError(f"{path}, line {number + 2}: {error}") from None
    return Truth(space.check(genotypes), np.array(top1), f"published, mean of {', '.join(columns)}")
