"""The predicted accuracy of one network, whatever it is made of."""

from __future__ import annotations

from dataclasses import dataclass

from nas.predictor._coverage import nearest_member
from nas.predictor._model import Predictor
from searchspace.architecture import Architecture


@dataclass(frozen=True)
class PredictedScore:
    """Predicted top-1 in percent; `differences` from the member of the space that was scored in the network's place.

    No differences: the network itself was scored.
    """

    top1: float
    differences: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Whether the network itself was scored."""
        return not self.differences


def score_network(predictor: Predictor, architecture: Architecture) -> PredictedScore:
    """Score a network, or the member of the predictor's space with the nearest hidden widths.

    MobileNetV3-Large has expansions of 2.3 and 2.5 where the space begins at 3, so it is scored as a slightly larger
    network. Raises UserError naming the place where a network differs from the space in anything else.
    """
    covered = predictor.layout.covered
    nearest = nearest_member(covered, architecture)
    top1 = predictor.top1(predictor.layout.read(covered, nearest.genotype[None]))
    return PredictedScore(float(top1[0]), nearest.differences)
