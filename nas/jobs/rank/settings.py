"""What `nas rank` can be asked for, checked when made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from nas.options import DATA, DEVICE, SPACE, SPACE_NAME, TRAINING, Internal, Option
from nas.supernets.settings import DIFFERENTIABLE, SupernetSettings
from searchspace.support.errors import UserError


@dataclass(frozen=True, kw_only=True)
class RankSettings:
    """What is ranked: `networks` of a space, against the file `against` or, without one, stand-alone trainings."""

    space: Annotated[str, SPACE_NAME] = "mobilenetv3"
    supernet: Annotated[SupernetSettings, Internal("How the supernet is trained, with options of its own.")]
    device: Annotated[str, DEVICE] = "pixel"
    against: Annotated[
        str | None,
        Option("CSV of known accuracies.", panel=DATA, metavar="FILE", otherwise="train every network alone"),
    ] = None
    networks: Annotated[int, Option("How many networks to compare.", panel=SPACE, metavar="N")] = 50
    alone_epochs: Annotated[
        int, Option("Passes over the images for each network.", panel=TRAINING, metavar="EPOCHS")
    ] = 10

    def __post_init__(self) -> None:
        if self.networks < 10:
            raise UserError(f"networks is {self.networks}, expected at least 10 to rank")
        if self.supernet.mode == DIFFERENTIABLE:
            raise UserError(
                "differentiable training prefers the networks of one latency, so it has no ranking of a whole space: "
                "give another --supernet-training"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return asdict(self) | {"supernet": self.supernet.as_dict()}
