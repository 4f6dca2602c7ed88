"""Scores from the accuracy predictor: ImageNet top-1 without a data set."""

from __future__ import annotations

from collections.abc import Mapping

from nas.objectives import Values
from nas.predictor import Predictor, covered_part
from searchspace.choices import Genotypes
from searchspace.space import SearchSpace
from searchspace.support.errors import UserError


class PredictorEvaluator:
    """Scores the networks of a space with a predictor; the same genotype always gets the same score."""

    def __init__(self, predictor: Predictor, space: SearchSpace) -> None:
        """Raise UserError when the predictor's table does not cover all of the space (see `covered_part`)."""
        if covered_part(space) is not space:
            raise UserError(f"the accuracy table covers only a part of the space {space.name}: search its covered part")
        self.predictor = predictor
        self.space = space

    @property
    def label(self) -> str:
        """What the predicted accuracies are."""
        return f"predicted {self.predictor.layout.scale}"

    @property
    def fingerprint(self) -> str:
        """The checksum of the predictor's file."""
        return self.predictor.fingerprint

    @property
    def basis(self) -> Mapping[str, str]:
        """Where the accuracies come from and how well they are predicted on networks left out."""
        predictor, left_out = self.predictor, self.predictor.left_out
        return {
            "accuracy": predictor.layout.scale,
            "source": f"{predictor.rows:,} {predictor.layout.source}",
            "rank correlation": f"Kendall tau {left_out.kendall:.3f} on networks left out of the fit",
            "error": f"{left_out.mae:.2f} points on average, 90 % within {left_out.error_90:.2f}",
            "range": f"the best network of the table has {predictor.best:.2f} %",
        }

    def top1(self, genotypes: Genotypes) -> Values:
        """Return predicted top-1 in percent, shape (n,), for genotypes of shape (n, choices)."""
        return self.predictor.top1(self.predictor.layout.read(self.space, genotypes))
