"""A measured time of a block or network, with the ops it is a sum of: what tables are calibrated and validated on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from latency_lut.provenance import Precision
from searchspace.ops import Op


@dataclass(frozen=True)
class Target:
    """The phone and number format that a file is read for: rows of others are skipped and counted.

    `unlabelled` says that rows of forms without a device column are this phone's; else they are their source's.
    """

    device: str
    precision: Precision
    unlabelled: bool = False


@dataclass(frozen=True)
class Sample:
    """One measured time in milliseconds and the ops that ran; `view` names the scale of its source, "" the table's."""

    label: str
    view: str
    ops: tuple[Op, ...]
    latency_ms: float
    whole_network: bool


class Skipped(Exception):
    """A row that is not for the target or whose network is not known; the text is the reason."""


@dataclass
class Reading:
    """The samples of a file, and how many of its rows were skipped for which reason."""

    samples: list[Sample] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def __len__(self) -> int:
        return len(self.samples)
