"""The table of known accuracies, and the network whose widths it lists.

Channel-Bench-Macro (Su et al., arXiv 2203.13714) holds CIFAR-10 accuracies of all 4^7 width choices of a seven-layer
network of MobileNet blocks.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searchspace.architecture import Architecture
from searchspace.support.errors import UserError
from searchspace.support.files import read_text
from searchspace.text import parse

# The widest network: digit 4 of the table for every layer. Layers 1, 5 and 7 of the table are the stem with the two
# bottlenecks joined to it, the bottleneck of the second stage and the last convolution; the others are expansions.
WIDEST = (
    "r32,stem_k3_s2_c128_re,ir_k3_s1_h768_c128_re,ir_k3_s1_h768_c128_re,ir_k3_s2_h768_c256_re,"
    "ir_k3_s1_h1536_c256_re,head_c1024_re,n10"
)
LAYERS, QUARTERS = 7, 4


def network_of(digits: str) -> Architecture:
    """Return the network of seven digits, each a layer's width in quarters of the widest."""
    stem, first, second, third, wide, fourth, last = (int(digit) for digit in digits)
    return parse(
        f"r32,stem_k3_s2_c{32 * stem}_re,ir_k3_s1_h{192 * first}_c{32 * stem}_re,"
        f"ir_k3_s1_h{192 * second}_c{32 * stem}_re,ir_k3_s2_h{192 * third}_c{64 * wide}_re,"
        f"ir_k3_s1_h{384 * fourth}_c{64 * wide}_re,head_c{256 * last}_re,n10"
    )


def digits_of(network: Architecture) -> str:
    """Return the seven digits of a network of the table."""
    first, second, third, fourth = network.blocks
    quarters = (
        network.stem.out // 32,
        first.hidden // 192,  # type: ignore[attr-defined]
        second.hidden // 192,  # type: ignore[attr-defined]
        third.hidden // 192,  # type: ignore[attr-defined]
        third.out // 64,
        fourth.hidden // 384,  # type: ignore[attr-defined]
        network.head.conv // 256,
    )
    return "".join(map(str, quarters))


@dataclass(frozen=True)
class Truth:
    """The table: `accuracies` (networks, 2) in per cent and `madds` (networks,), in the order of `ChannelSpace`."""

    accuracies: NDArray[np.float64]
    madds: NDArray[np.float64]

    @property
    def noise(self) -> float:
        """Standard deviation of one run, in points, from the differences of the two."""
        return float(np.std(self.accuracies[:, 0] - self.accuracies[:, 1]) / np.sqrt(2))


def row_of(digits: str) -> int:
    """Return the place of a network in the arrays of `Truth`."""
    return int(np.ravel_multi_index([int(digit) - 1 for digit in digits], [QUARTERS] * LAYERS))


def read_truth(path: str | Path) -> Truth:
    """Read the table; raises UserError naming the line of whatever is wrong, or how many networks are missing."""
    accuracies = np.full((QUARTERS**LAYERS, 2), np.nan)
    madds = np.full(QUARTERS**LAYERS, np.nan)
    lines = read_text(path, "table of width accuracies").splitlines()
    first = next((number for number, line in enumerate(lines) if not line.startswith("#")), 0)
    reader = csv.DictReader(lines[first:])
    missing = {"arch", "acc1", "acc2", "madds"} - set(reader.fieldnames or ())
    if missing:
        raise UserError(f"{path}: no column {', '.join(sorted(missing))}; expected arch, acc1, acc2, madds")
    for number, row in enumerate(reader, start=first + 2):
        digits = row["arch"]
        if len(digits) != LAYERS or set(digits) - set("1234"):
            raise UserError(f"{path}, line {number}: arch is {digits[:60]!r}, expected {LAYERS} digits from 1 to 4")
        try:
            accuracies[row_of(digits)] = float(row["acc1"]), float(row["acc2"])
            madds[row_of(digits)] = float(row["madds"])
        except (TypeError, ValueError):
            raise UserError(f"{path}, line {number}: acc1, acc2 and madds must be numbers") from None
    if np.isnan(accuracies).any():
        raise UserError(f"{path}: {int(np.isnan(accuracies).any(axis=1).sum())} of {len(accuracies)} networks missing")
    return Truth(accuracies, madds)


def digits_at(row: int) -> str:
    """Return the seven digits of a place in the arrays of `Truth`."""
    return "".join(str(int(value) + 1) for value in np.unravel_index(row, [QUARTERS] * LAYERS))
