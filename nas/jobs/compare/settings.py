"""The settings of a comparison of strategies."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from searchspace.support.errors import UserError

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

    space: str
    evaluator: str
    evaluations: int = 200
    seeds: int = 10
    strategies: tuple[str, ...] = ()
    device: str | None = None
    budget_ms: float | None = None

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
        return asdict(self) | {"strategies": list(self.strategies)}
