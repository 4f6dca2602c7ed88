"""The settings of a comparison of strategies."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from nas.options import BUDGET, DATA, SPACE_NAME, STRATEGY, STRATEGY_OPTION, Option
from searchspace.support.errors import UserError
from searchspace.support.quantities import parse_duration_ms

TABLE, PREDICTOR = "table:", "predictor"
DEFAULT_STRATEGIES = (
    "random",
    "evolution",
    "local",
    "predictor",
    "reinforce",
    "ppo",
    "ppo-mnasnet",
    "optuna:TPESampler",
    "optuna:NSGAIISampler",
)


@dataclass(frozen=True, kw_only=True)
class CompareSettings:
    """What is compared: `evaluator` is `table:FILE` or `predictor`, with a budget where there is a device."""

    space: Annotated[str, SPACE_NAME] = "macro"
    evaluator: Annotated[str, Option("table:FILE of known accuracies, or predictor.", panel=DATA, metavar="SOURCE")]
    evaluations: Annotated[int, Option("Distinct networks for each search.", panel=STRATEGY, metavar="N")] = 200
    seeds: Annotated[int, Option("Searches with each strategy: seeds 0 to N-1.", panel=STRATEGY, metavar="N")] = 10
    strategies: Annotated[
        tuple[str, ...],
        Option(
            "One to compare; repeat it.", panel=STRATEGY, names="--strategy", metavar="NAME", otherwise="all that fit"
        ),
    ] = ()
    strategy_options: Annotated[
        tuple[str, ...],
        replace(STRATEGY_OPTION, help="A setting of those strategies that have it: population=50; may be given again."),
    ] = ()
    device: Annotated[str | None, Option("Latency in the place of multiply-adds.", panel=BUDGET, metavar="DEVICE")] = (
        None
    )
    budget_ms: Annotated[
        float | None,
        Option(
            "Latency that the best network keeps, such as 60ms.",
            panel=BUDGET,
            names="--budget",
            metavar="TIME",
            parser=parse_duration_ms,
        ),
    ] = None

    def __post_init__(self) -> None:
        """Raise UserError for values that make no comparison."""
        if self.evaluator != PREDICTOR and not self.evaluator.startswith(TABLE):
            raise UserError(f"--evaluator is {self.evaluator!r:.60}, expected table:FILE or predictor")
        for name, value in (("evaluations", self.evaluations), ("seeds", self.seeds)):
            if value < 1:
                raise UserError(f"--{name} is {value}, expected at least 1")
        if len(set(self.strategies)) != len(self.strategies):
            raise UserError(f"a strategy is named twice: {', '.join(self.strategies)}")
        if self.budget_ms is not None and self.device is None:
            raise UserError("--budget is a latency: add --device, such as --device pixel")
        if self.evaluator == PREDICTOR and self.budget_ms is None:
            raise UserError(
                "a predictor's best network within no budget is its largest: give --budget and --device, "
                "such as --budget 60ms --device pixel"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        plain = asdict(self) | {"strategies": list(self.strategies)}
        if not plain.pop("strategy_options"):
            return plain
        return plain | {"strategy_options": list(self.strategy_options)}
