"""How much each step must save, and which proposal wins: the two published forms of NetAdapt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from netadapt.groups import Part
from netadapt.proposals import BODY, Proposal, Widths
from netadapt.resources import Cost
from searchspace.support.errors import UserError


class Form(StrEnum):
    """Which paper's algorithm."""

    MOBILENETV3 = "mobilenetv3"  # Howard et al., ICCV 2019, section 4.2
    ORIGINAL = "original"  # Yang et al., ECCV 2018


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The reduction asked of step i: `reduction` x the initial cost x `decay`^(i - 1)."""

    form: Form
    reduction: float
    decay: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.reduction < 1:
            raise UserError(
                f"the reduction per step is {self.reduction}, expected a share between 0 and 1 such as 0.01"
            )
        if not 0 < self.decay <= 1:
            raise UserError(f"the decay of the reduction is {self.decay}, expected above 0 and at most 1")

    def asked(self, step: int, initial_value: float) -> float:
        """Return what step `step`, from 1 on, must save at least, in the unit of the resource."""
        return self.reduction * initial_value * self.decay ** (step - 1)

    def final_target(self, target: float) -> float:
        """Return the upper end at which a proposal need save no more.

        The original's last step saves just what is left; MobileNetV3's, like every other, at least delta.
        """
        return target if self.form is Form.ORIGINAL else -math.inf

    def pick(self, proposals: Sequence[Proposal], scores: Sequence[float], before: Cost, score_before: float) -> int:
        """Return the index of the winner, the first among equals; scores are accuracies in percent or stand for them.

        The original takes the most accurate; MobileNetV3 the largest change of accuracy per cost saved.
        """
        if self.form is Form.ORIGINAL:
            merits = list(scores)
        else:
            saved = [before.value - proposal.cost.value for proposal in proposals]
            merits = [(now - score_before) / less for now, less in zip(scores, saved, strict=True)]
        return merits.index(max(merits))


def published_schedule(form: Form) -> Schedule:
    """Return a paper's schedule: 1 % of the initial cost a step, or 2.5 % falling by 4 % a step (the authors' code)."""
    if form is Form.MOBILENETV3:
        return Schedule(form=form, reduction=0.01)
    return Schedule(form=form, reduction=0.025, decay=0.96)


def published_widths(form: Form) -> Widths:
    """Return what a paper shrinks: expansions and shared bottlenecks, or every layer but the classifier."""
    return Widths(parts=BODY if form is Form.MOBILENETV3 else frozenset(Part))
