"""What `nas reproduce` is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated

from nas.options import DATA, IMAGES, SEED, SPACE, TORCH_DEVICE, Option
from searchspace.support.errors import UserError


class Scale(StrEnum):
    """How much of an experiment is run: minutes, an evening on two cores, or what the paper did."""

    QUICK = "quick"
    DEFAULT = "default"
    FULL = "full"


_ON_A_DEVICE = ("mobilenetv3", "mobilenext")


def chosen_scale(name: str) -> Scale:
    """Return a scale by name; raises UserError listing them."""
    if name not in tuple(Scale):
        raise UserError(f"the scale is {name[:60]!r}, expected one of {', '.join(Scale)}")
    return Scale(name)


@dataclass(frozen=True, kw_only=True)
class ReproduceSettings:
    """One experiment at one scale."""

    experiment: Annotated[
        str,
        Option("mobilenetv3, mobilenext, netadapt-truth, pretrained or phones.", metavar="EXPERIMENT", argument=True),
    ]
    scale: Annotated[
        Scale,
        Option(
            "quick (minutes), default (an evening on two cores), or full (the paper's own).",
            panel=SPACE,
            metavar="SCALE",
            parser=chosen_scale,
        ),
    ] = Scale.DEFAULT
    data: Annotated[str | None, replace(IMAGES, otherwise="digits")] = None
    table: Annotated[
        str | None,
        Option("Known accuracies that netadapt-truth and phones look up.", panel=DATA, metavar="FILE"),
    ] = None
    weights: Annotated[
        str | None, Option("Pretrained weights to start from where possible.", panel=DATA, metavar="FILE")
    ] = None
    latencies: Annotated[
        str | None,
        Option(
            "Published latencies, to fit tables anew without each row; without them figures of the shipped tables.",
            panel=DATA,
            metavar="FOLDER",
        ),
    ] = None
    seed: Annotated[int, SEED] = 0
    torch_device: Annotated[str | None, TORCH_DEVICE] = None

    def __post_init__(self) -> None:
        if self.torch_device is not None and self.experiment not in _ON_A_DEVICE:
            raise UserError(f"--torch-device is for {' and '.join(_ON_A_DEVICE)}: {self.experiment} does not take one")

    @property
    def images(self) -> str:
        """The data set that networks are trained on."""
        return self.data or "digits"
