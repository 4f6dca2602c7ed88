"""What NetAdapt has to beat: one width multiplier for all, and the smallest filters removed in one shot.

Both find the widest network whose cost is at most a given one. (The third baseline, random proposals, is the loop
itself with `Problem.random`.)
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from netadapt.groups import Group
from netadapt.importance import Criterion, State, channel_scores
from netadapt.proposals import Widths
from netadapt.resources import Pricer
from netadapt.widths import resized
from searchspace.architecture import Architecture
from searchspace.support.errors import UserError
from searchspace.widths import make_divisible

MULTIPLIER_STEPS = 200
"""Width multipliers are tried in steps of one over this."""


def uniform(architecture: Architecture, pricer: Pricer, limit: float, widths: Widths) -> dict[Group, int]:
    """Return the widths of the largest multiplier whose network costs at most `limit`.

    As in the MobileNet papers each width is multiplied and rounded to the channel step; only groups that `widths`
    allows are scaled, so that the comparison is over the same freedom.
    """

    def at(index: int) -> dict[Group, int]:
        multiplier = 1 - index / MULTIPLIER_STEPS
        return _narrowed(architecture, widths, lambda group: make_divisible(group.width * multiplier, widths.step))

    return _first_within(architecture, pricer, limit, at, MULTIPLIER_STEPS)


def magnitude(
    architecture: Architecture, state: State, pricer: Pricer, limit: float, widths: Widths, criterion: Criterion
) -> dict[Group, int]:
    """Return the widths after removing, in one shot, all channels whose score falls below one threshold.

    Scores are divided by their group's mean, so that layers of different fan-in can be compared; what is left of a
    group is rounded up to the channel step. The threshold is the lowest whose network costs at most `limit`.
    """
    scores: dict[Group, list[float]] = {}
    for group in widths.groups(architecture):
        values = channel_scores(architecture, group, state, criterion)
        scores[group] = sorted((values / values.mean().clamp_min(1e-12)).tolist())
    thresholds = sorted({value for values in scores.values() for value in values})

    def at(index: int) -> dict[Group, int]:
        def kept(group: Group) -> int:
            left = group.width - bisect_left(scores[group], thresholds[index])
            return -(-left // widths.step) * widths.step

        return _narrowed(architecture, widths, kept)

    return _first_within(architecture, pricer, limit, at, len(thresholds))


def _narrowed(architecture: Architecture, widths: Widths, wanted: Callable[[Group], int]) -> dict[Group, int]:
    """Return the widest allowed width of at most `wanted` for each group that is to shrink."""
    chosen: dict[Group, int] = {}
    for group in widths.groups(architecture):
        if wanted(group) >= group.width:
            continue
        current = resized(architecture, chosen) if chosen else architecture
        candidates = widths.candidates(tuple(current.placed_blocks()), group)
        narrow = [width for width in candidates if width <= wanted(group)] or candidates[-1:]
        if narrow:
            chosen[group] = narrow[0]
    return chosen


def _first_within(
    architecture: Architecture, pricer: Pricer, limit: float, at: Callable[[int], dict[Group, int]], count: int
) -> dict[Group, int]:
    """Return the first of `count` ever narrower networks that costs at most `limit`."""

    def within(index: int) -> bool:
        return pricer.price(resized(architecture, at(index))).value <= limit

    index = bisect_left(range(count), True, key=within)
    if index == count:
        raise UserError(f"no such baseline costs {limit:.4g} {pricer.resource.unit} or less")
    return at(index)
