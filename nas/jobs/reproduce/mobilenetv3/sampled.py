"""What a controller sampled: latencies and rewards read from its journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from latency_lut.devices import load_device
from latency_lut.predict import predict
from nas.jobs.search.journal import read_batches
from nas.objectives import Objective, Values
from nas.report.drawing import ALERT, SERIES, new_drawing, tidy
from nas.runs.folder import JOURNAL
from nas.strategies._ppo import PRESETS
from nas.strategies._rewards import REWARDS
from searchspace.architecture import Architecture

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

LATENCIES = "sampled_latencies.png"


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """One search's samples in the order they were drawn: latency in ms (n,), and the network of the highest reward."""

    name: str
    weight: str
    target_ms: float
    latency_ms: Values
    best: dict[str, Any]
    device: str = "pixel"

    @classmethod
    def read(cls, path: Path, name: str, weight: str, strategy: str, objective: Objective) -> Self:
        """Read a finished search's journal; the reward is that of the strategy."""
        batches = read_batches(path / JOURNAL)
        genotypes = np.concatenate([batch.genotypes for batch in batches])
        top1 = np.concatenate([batch.top1 for batch in batches])
        high_ms, latency_ms = objective.high_ms(genotypes), objective.cost.latency_ms(genotypes)
        reward = REWARDS[PRESETS[strategy].reward](top1, high_ms, objective.budget_ms)
        at = int(np.nanargmax(reward))
        best = {
            "architecture": str(objective.space.decode(genotypes[at])),
            "latency_ms": float(latency_ms[at]),
            "top1": float(top1[at]),
            "reward": float(reward[at]),
        }
        return cls(name=name, weight=weight, target_ms=objective.budget_ms, latency_ms=latency_ms, best=best)

    @property
    def drawn(self) -> int:
        """How many networks the controller drew."""
        return len(self.latency_ms)

    @property
    def last(self) -> Values:
        """The latencies of the last quarter."""
        return self.latency_ms[-max(1, self.drawn // 4) :]

    @property
    def spread_ms(self) -> tuple[float, float, float]:
        """The 10, 50 and 90 % quantiles of the last quarter."""
        low, middle, high = np.quantile(self.last, (0.1, 0.5, 0.9)).tolist()
        return low, middle, high

    def latency_of(self, network: Architecture) -> float:
        """Return the predicted latency of another network on the same phone."""
        return predict(load_device(self.device), network).latency_ms

    def as_dict(self) -> dict[str, Any]:
        """Return the figures of the search."""
        return {"w": self.weight, "target_ms": self.target_ms, "last_quarter_ms": list(self.spread_ms),
                "drawn": self.drawn, "best": self.best}  # fmt: skip


def draw_sampled(found: Sequence[Sampled]) -> Drawing:
    """Draw, for each target, the latencies that each controller drew from its first network to its last."""
    targets = sorted({one.target_ms for one in found}, reverse=True)
    drawing = new_drawing(10, 4.2)
    for number, target_ms in enumerate(targets):
        axes = drawing.add_subplot(1, len(targets), number + 1)
        members = [one for one in found if one.target_ms == target_ms]
        for colour, one in zip(SERIES, members, strict=False):
            at, low, middle, high = _course(one)
            axes.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0)
            axes.plot(at, middle, color=colour, linewidth=1.6, label=one.weight)
        axes.axhline(target_ms, color=ALERT, linestyle="--", linewidth=1)
        axes.set_title(f"target {target_ms:g} ms")
        axes.set_xlabel("networks drawn")
        axes.set_ylabel("latency on Pixel 1 [ms]: median, 10 to 90 %")
        axes.set_yscale("log")
        tidy(axes)
    return drawing


def _course(one: Sampled) -> tuple[Values, Values, Values, Values]:
    parts = np.array_split(one.latency_ms, 24)
    at = np.cumsum([len(part) for part in parts]) - len(parts[0]) / 2
    low, middle, high = (np.array([np.quantile(part, q) for part in parts]) for q in (0.1, 0.5, 0.9))
    return at, low, middle, high
