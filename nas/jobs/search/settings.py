"""What `nas search` can be asked for, checked when made; loads nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas.objectives import metric
from searchspace.support.errors import UserError
from searchspace.support.quantities import parse_duration_ms

LATENCY_FRONT = ("latency_ms",)
_LIMITED = re.compile(r"(.+)=(\s*[0-9.].*)", re.DOTALL)  # DEVICE=TIME; the path of a table may hold "=" too


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """All that decides a search.

    `budget_ms` is kept on `device` by the upper end of the latency interval, and so is each budget of `also`, by
    device. `front` names the metrics that the front trades against top-1. With `head`, for so many `classes`,
    budgets are of the network with that head in its classifier's place. `parallel` is how many networks
    the strategy is asked for before it hears of their results (default: what suits the evaluator); `threads` is how
    many threads torch scores one network with, since sums depend on how they are split.
    `evaluator` is None (predictor, with images a supernet) or "train": each network for `trial_epochs` epochs from
    scratch. With `early_stopping` trainings that lag behind are stopped (ASHA, Ray Tune).
    `only_supported` keeps to networks whose kinds of op a device is known to run, each timed there.
    """

    budget_ms: float
    device: str = "pixel"
    space: str = "mobilenetv3"
    strategy: str = "evolution"
    seed: int = 0
    evaluations: int = 50_000
    extrapolate: bool = False
    also: Mapping[str, float] = field(default_factory=dict)
    front: Sequence[str] = LATENCY_FRONT
    head: str | None = None
    classes: int | None = None
    parallel: int | None = None
    threads: int = 1
    evaluator: str | None = None
    trial_epochs: int = 5
    early_stopping: bool = False
    only_supported: bool = False

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UserError(f"seed is {self.seed}, expected a whole number of at least 0")
        if self.evaluations < 1:
            raise UserError(f"evaluations is {self.evaluations}, expected at least 1")
        if self.parallel is not None and self.parallel < 1:
            raise UserError(f"parallel is {self.parallel}, expected at least 1 network at a time")
        if self.threads < 1:
            raise UserError(f"threads is {self.threads}, expected at least 1")
        if self.evaluator not in (None, "train"):
            raise UserError(f"the evaluator is {self.evaluator!r:.60}, expected train, or none for the usual one")
        if self.trial_epochs < 1:
            raise UserError(f"trial epochs are {self.trial_epochs}, expected at least 1")
        if self.early_stopping and self.evaluator is None:
            raise UserError("--early-stopping stops trainings of networks: add --evaluator train")
        names = [metric(name).name for name in self.front]
        if not names or "top1" in names or len(set(names)) < len(names):
            raise UserError(f"the front is over {', '.join(names) or 'nothing'}: name each metric but top1 once")
        counted = [name for name in names if not name.startswith(("latency_ms", "madds"))]
        if self.head is not None and counted:
            raise UserError(f"--front {counted[0]} is of the backbone alone: with --head the front is latency or madds")
        object.__setattr__(self, "front", tuple(names))

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values; those of one budget and the usual front say only that."""
        plain: dict[str, Any] = {
            "budget_ms": self.budget_ms,
            "device": self.device,
            "space": self.space,
            "strategy": self.strategy,
            "seed": self.seed,
            "evaluations": self.evaluations,
            "extrapolate": self.extrapolate,
        }
        if self.also:
            plain["also"] = dict(self.also)
        if self.front != LATENCY_FRONT:
            plain["front"] = list(self.front)
        for name, value in (("head", self.head), ("classes", self.classes)):
            if value is not None:
                plain[name] = value
        if self.parallel is not None:
            plain["parallel"] = self.parallel
        if self.threads != 1:
            plain["threads"] = self.threads
        if self.evaluator is not None:
            plain |= {"evaluator": self.evaluator, "trial_epochs": self.trial_epochs}
        if self.early_stopping:
            plain["early_stopping"] = True
        if self.only_supported:
            plain["only_supported"] = True
        return plain


def parse_budgets(devices: Sequence[str], budget: str | None) -> tuple[str, float, dict[str, float]]:
    """Return the first device, its budget in ms, and the budgets of further devices.

    `devices` are DEVICE or DEVICE=TIME; `budget` is that of the first one where it names none. Raises UserError for a
    budget that is missing, given twice or cannot be read, or a device given twice.
    """
    limits: dict[str, float] = {}
    for number, text in enumerate(devices):
        limited = _LIMITED.fullmatch(text)
        name = limited[1] if limited else text
        if limited:
            limit_ms = parse_duration_ms(limited[2], f"budget of {name}")
            if number == 0 and budget is not None:
                raise UserError(f"two budgets for {name}: --budget {budget} and --device {text}; leave one out")
        elif number == 0 and budget is not None:
            limit_ms = parse_duration_ms(budget)
        elif number == 0:
            raise UserError("no budget was given: --budget 60ms, or --resume RUN to go on with a run")
        else:
            raise UserError(f"--device {text}: each device but the first needs its budget, such as {text}=20ms")
        if name in limits:
            raise UserError(f"the device {name} was given twice")
        limits[name] = limit_ms
    (device, budget_ms), *also = limits.items()
    return device, budget_ms, dict(also)
