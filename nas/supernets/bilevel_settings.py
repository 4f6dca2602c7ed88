"""How a cell search learns: of the logits the settings, of the weights the recipe; loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nas.training.recipes import OptimizerKind, Recipe, ScheduleKind
from searchspace.support.errors import UserError


class Order(StrEnum):
    """Whether the logits' gradient looks one step of the weights ahead."""

    FIRST = "first"
    SECOND = "second"


@dataclass(frozen=True, kw_only=True)
class BilevelSettings:
    """How logits learn: Adam as in DARTS' `train_search.py`.

    PC-DARTS freezes the logits for 15 of its 50 epochs and then takes twice the rate.
    `frozen_share` is the part of the run in which only the weights learn.
    """

    order: Order = Order.FIRST
    learning_rate: float = 3e-4
    weight_decay: float = 1e-3
    beta1: float = 0.5
    beta2: float = 0.999
    frozen_share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.frozen_share < 1:
            raise UserError(f"the frozen share of a cell search is {self.frozen_share}, expected 0 to less than 1")


def darts_search(epochs: int = 50) -> Recipe:
    """Return the weights' recipe of DARTS' search on CIFAR-10 (`train_search.py`): SGD, 0.025 to 0.001, clip 5."""
    return Recipe(
        name="darts search",
        source="Liu et al. 2018, train_search.py",
        epochs=epochs,
        batch_size=64,
        optimizer=OptimizerKind.SGD,
        learning_rate=0.025,
        final_learning_rate=0.001,
        weight_decay=3e-4,
        decay_all_parameters=True,
        schedule=ScheduleKind.COSINE,
        clip_norm=5.0,
    )
