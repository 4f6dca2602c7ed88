"""What `nas reproduce` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from searchspace.support.errors import UserError


class Scale(StrEnum):
    """How much of an experiment is run: minutes, an evening on two cores, or what the paper did."""

    QUICK = "quick"
    DEFAULT = "default"
    FULL = "full"


@dataclass(frozen=True, kw_only=True)
class ReproduceSettings:
    """One experiment at one scale.

    `data` are images for what is trained, in the form every command takes; without them the digits that come with
    scikit-learn stand in. `table` is the file of known accuracies that `netadapt-truth` needs and `phones` can use.
    `weights` are pretrained weights to start from where the experiment can. `latencies` is a folder of published
    latencies, from which `mobilenetv3` fits the Pixels' tables again with rows left out; without it the figures that
    were computed with the shipped tables are taken.
    """

    experiment: str
    scale: Scale = Scale.DEFAULT
    data: str | None = None
    table: str | None = None
    weights: str | None = None
    latencies: str | None = None
    seed: int = 0

    @property
    def images(self) -> str:
        """The data set that networks are trained on."""
        return self.data or "digits"


def chosen_scale(name: str) -> Scale:
    """Return a scale by name; raises UserError listing them."""
    if name not in tuple(Scale):
        raise UserError(f"the scale is {name[:60]!r}, expected one of {', '.join(Scale)}")
    return Scale(name)
