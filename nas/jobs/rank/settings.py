"""What `nas rank` can be asked for, checked when made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nas.supernets.settings import DIFFERENTIABLE, SupernetSettings
from searchspace.support.errors import UserError


@dataclass(frozen=True, kw_only=True)
class RankSettings:
    """What is ranked: `networks` of a space, against the file `against` or, without one, stand-alone trainings."""

    space: str
    supernet: SupernetSettings
    device: str = "pixel"
    against: str | None = None
    networks: int = 50
    alone_epochs: int = 10

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
        return asdict(self)
