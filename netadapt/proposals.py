"""The proposals of one iteration: for each group, the largest width that saves enough.

Only the layers a group touches are priced again. The cost of a layer is taken to fall with its width, as it does in
every latency table whose interpolation is monotone; the width found is then checked against its wider neighbour, so
that it is never more than one step narrower than it need be.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netadapt.groups import Group, Part, groups
from netadapt.resources import Cost, Pricer
from netadapt.widths import resized, resized_layer, structural_widths
from searchspace.architecture import Architecture, PlacedBlock
from searchspace.support.errors import UserError

BODY = frozenset({Part.EXPANSION, Part.BOTTLENECK})
"""The groups that MobileNetV3's proposals shrink (section 4.2): expansions and shared bottlenecks."""


@dataclass(frozen=True)
class Proposal:
    """One group at a smaller width: the network that results and what that is predicted to cost."""

    group: Group
    width: int
    architecture: Architecture
    cost: Cost

    def __str__(self) -> str:
        """Return a short label such as `block3 expansion 144 > 128`."""
        return f"{self.group.name} {self.group.width} > {self.width}"


@dataclass(frozen=True, kw_only=True)
class Widths:
    """Which groups may shrink, and to which widths: multiples of `step` from `smallest` up."""

    parts: frozenset[Part] = BODY
    step: int = 8
    smallest: int = 8

    def __post_init__(self) -> None:
        if self.step < 1 or self.smallest < 1:
            raise UserError(f"channel step {self.step} and smallest width {self.smallest} must be at least 1")
        if not self.parts:
            raise UserError("no part of the network may shrink: allow at least one of " + ", ".join(Part))

    def candidates(self, placed: Sequence[PlacedBlock], group: Group) -> list[int]:
        """Return the widths that the group may take, widest first; `placed` are the network's blocks."""
        least = -(-self.smallest // self.step) * self.step
        below = range((group.width - 1) // self.step * self.step, least - 1, -self.step)
        forbidden = structural_widths(placed, group)
        return [width for width in below if width not in forbidden]

    def groups(self, architecture: Architecture) -> tuple[Group, ...]:
        """Return the groups that may shrink further."""
        placed = tuple(architecture.placed_blocks())
        allowed = (group for group in groups(architecture) if group.part in self.parts)
        return tuple(group for group in allowed if self.candidates(placed, group))


def plan(architecture: Architecture, pricer: Pricer, budget: float, target: float, widths: Widths) -> list[Proposal]:
    """Return one proposal for each group that can reach `budget` alone, or `target` with its upper end.

    A group that cannot, even at its smallest width, is left out.
    """
    placed = tuple(architecture.placed_blocks())
    before = pricer.layers(architecture)
    proposals = []
    for group in widths.groups(architecture):

        def cost(width: int, group: Group = group) -> Cost:
            layers = list(before)
            sites = dict.fromkeys(group.sites, width)
            for layer in group.layers:
                layers[layer] = pricer.layer(layer, *resized_layer(architecture, placed, layer, sites))
            return pricer.total(layers)

        def saves(width: int, cost: Callable[[int], Cost] = cost) -> bool:
            reached = cost(width)
            return reached.value <= budget or reached.upper <= target

        width = _widest(widths.candidates(placed, group), saves)
        if width is not None:
            proposals.append(Proposal(group, width, resized(architecture, {group: width}), cost(width)))
    return proposals


def _widest(candidates: Sequence[int], saves: Callable[[int], bool]) -> int | None:
    """Return one of the descending widths that saves enough while its wider neighbour does not."""
    end = 1  # most proposals need a few steps only, so the search doubles its reach until it is far enough
    while end <= len(candidates) and not saves(candidates[end - 1]):
        end *= 2
    index = bisect_left(candidates, True, end // 2, min(end, len(candidates)), key=saves)
    return candidates[index] if index < len(candidates) else None


def smallest(architecture: Architecture, widths: Widths) -> Architecture:
    """Return the network with every group that may shrink at its smallest allowed width.

    Raises UserError when no group can shrink at all.
    """
    shrinkable = widths.groups(architecture)
    if not shrinkable:
        raise UserError(
            f"the network cannot shrink: none of its {', '.join(sorted(widths.parts))} widths is above "
            f"{widths.smallest} channels in steps of {widths.step}; allow more parts or smaller steps"
        )
    for group in shrinkable:
        candidates = widths.candidates(tuple(architecture.placed_blocks()), group)
        if candidates:
            architecture = resized(architecture, {group: candidates[-1]})
    return architecture
