"""What `nas search` can be asked for, checked when made; loads nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from nas.options import BUDGET, ENGINE, EXTRAPOLATE, HEAD, SEED, SPACE, STRATEGY, STRATEGY_OPTION, Internal, Option
from searchspace.support.errors import UserError
from searchspace.support.quantities import parse_duration_ms

LATENCY_FRONT = ("latency_ms",)
# Networks evaluated, and asked for at once, where neither is said: predicted, trained on images, one a trial on NNI.
EVALUATIONS, IMAGE_EVALUATIONS, NNI_EVALUATIONS, TABLE_EVALUATIONS = 50_000, 100, 30, 200
TRAIN, TABLE, ZERO_COST = "train", "table:", "zero-cost:"
PARALLEL, IMAGE_PARALLEL, NNI_PARALLEL = 250, 10, 2
_LIMITED = re.compile(r"(.+)=(\s*[0-9.].*)", re.DOTALL)  # DEVICE=TIME; the path of a table may hold "=" too


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """All that decides a search.

    Each budget is kept by the upper end of the latency interval; with `head` it is of the network with that head in its
    classifier's place. The same `threads` give the same result, since sums depend on how they are split.
    """

    budget_ms: Annotated[float, Internal("Kept on `device`: --budget, or --device DEVICE=TIME.")]
    device: Annotated[str, Internal("The first --device; its latency is the one shown.")] = "pixel"
    also: Annotated[Mapping[str, float], Internal("The budgets of further --device, in ms.")] = field(
        default_factory=dict
    )
    extrapolate: Annotated[bool, EXTRAPOLATE] = False
    only_supported: Annotated[
        bool, Option("Only networks whose every kind of op the device runs and was timed with.", panel=BUDGET)
    ] = False
    front: Annotated[
        Sequence[str],
        Option(
            "What the front trades against top-1: latency, params, madds, latency@DEVICE, peak_activation_bytes; "
            "may be given again.",
            panel=BUDGET,
            metavar="METRIC",
            otherwise="latency",
        ),
    ] = LATENCY_FRONT
    space: Annotated[
        str,
        Option(
            "A space from `nas spaces`, a YAML file of your own, or around:NETWORK.",
            panel=SPACE,
            metavar="SPACE",
            otherwise="mobilenetv3, with --data mobile, with --weights around their network",
        ),
    ] = "mobilenetv3"
    head: Annotated[str | None, HEAD] = None
    classes: Annotated[
        int | None,
        Option("Classes of the head.", panel=SPACE, metavar="N", otherwise="COCO's 80, VOC's 21 with background"),
    ] = None
    strategy: Annotated[
        str,
        Option(
            "evolution, local, predictor, ppo, reinforce, exact, random, tpe, optuna:SAMPLER, learnt or "
            "module:Class of your own.",
            panel=STRATEGY,
            metavar="NAME",
            otherwise="evolution, after differentiable training learnt",
        ),
    ] = "evolution"
    strategy_options: Annotated[tuple[str, ...], STRATEGY_OPTION] = ()
    seed: Annotated[int, replace(SEED, panel=STRATEGY)] = 0
    evaluations: Annotated[
        int,
        Option(
            "Networks to evaluate.",
            panel=STRATEGY,
            metavar="N",
            otherwise=f"{EVALUATIONS:,}, with --data or zero-cost {IMAGE_EVALUATIONS}, by a table {TABLE_EVALUATIONS}, "
            f"on nni {NNI_EVALUATIONS}",
        ),
    ] = EVALUATIONS
    parallel: Annotated[
        int | None,
        Option(
            "Networks asked for at once; decides the history, the engine does not.",
            panel=STRATEGY,
            metavar="N",
            otherwise=f"{PARALLEL}, with --data {IMAGE_PARALLEL}, on nni {NNI_PARALLEL}",
        ),
    ] = None
    evaluator: Annotated[
        str | None,
        Option(
            "train: each network of --data for a few epochs from scratch. table:FILE of known accuracies. "
            "zero-cost:NAME, of untrained networks: synflow, zen, naswot, and with --data snip, grad_norm.",
            panel=STRATEGY,
            metavar="SOURCE",
            otherwise="the predictor, with --data a supernet",
        ),
    ] = None
    trial_epochs: Annotated[
        int, Option("Of each network with --evaluator train.", panel=STRATEGY, metavar="EPOCHS")
    ] = 5
    early_stopping: Annotated[
        bool,
        Option("Stop trainings that lag behind (ASHA), with --evaluator train --engine ray.", panel=STRATEGY),
    ] = False
    threads: Annotated[int, Option("CPU threads that score one network of --data.", panel=ENGINE, metavar="N")] = 1

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UserError(f"seed is {self.seed}, expected a whole number of at least 0")
        if self.evaluations < 1:
            raise UserError(f"evaluations is {self.evaluations}, expected at least 1")
        if self.parallel is not None and self.parallel < 1:
            raise UserError(f"parallel is {self.parallel}, expected at least 1 network at a time")
        if self.threads < 1:
            raise UserError(f"threads is {self.threads}, expected at least 1")
        if self.evaluator not in (None, TRAIN) and not self.evaluator.startswith((TABLE, ZERO_COST)):
            raise UserError(
                f"the evaluator is {self.evaluator!r:.60}, expected train, table:FILE or zero-cost:NAME, or none for "
                "the usual one"
            )
        if self.trial_epochs < 1:
            raise UserError(f"trial epochs are {self.trial_epochs}, expected at least 1")
        if self.early_stopping and self.evaluator != TRAIN:
            raise UserError("--early-stopping stops trainings of networks: add --evaluator train")
        from nas.objectives import metric  # with numpy, which a help page does not need

        names = [metric(name).name for name in self.front]
        if not names or "top1" in names or len(set(names)) < len(names):
            raise UserError(f"the front is over {', '.join(names) or 'nothing'}: name each metric but top1 once")
        counted = [name for name in names if not name.startswith(("latency_ms", "madds"))]
        if self.head is not None and counted:
            raise UserError(f"--front {counted[0]} is of the backbone alone: with --head the front is latency or madds")
        object.__setattr__(self, "front", tuple(names))
        object.__setattr__(self, "strategy_options", tuple(self.strategy_options))

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
            plain["evaluator"] = self.evaluator
        if self.evaluator == TRAIN:
            plain["trial_epochs"] = self.trial_epochs
        if self.early_stopping:
            plain["early_stopping"] = True
        if self.only_supported:
            plain["only_supported"] = True
        if self.strategy_options:
            plain["strategy_options"] = list(self.strategy_options)
        return plain


def default_evaluations(*, images: bool, nni: bool, evaluator: str | None = None) -> int:
    """Return how many networks a search evaluates where that is not said."""
    if nni:
        return NNI_EVALUATIONS
    if (evaluator or "").startswith(TABLE):
        return TABLE_EVALUATIONS
    return IMAGE_EVALUATIONS if images or (evaluator or "").startswith(ZERO_COST) else EVALUATIONS


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
