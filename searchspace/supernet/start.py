"""A supernet that starts as a trained network: its weights laid into the shared ones.

A larger kernel holds the network's in its centre, zeros around it; fewer channels hold the leading ones, so sort them
by importance first. Where the network is in the space, its member then computes what it does. Where it is not, stages
that see maps of the same size are laid over each other in order, block by block, as far as shapes reach.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from searchspace.architecture import Architecture, Block
from searchspace.space import SearchSpace
from searchspace.supernet.shared import SharedPart
from searchspace.supernet.supernet import Supernet


@dataclass(frozen=True, kw_only=True)
class Started:
    """How much of a network a supernet started with: numbers of weights; `whole` where the network is a member."""

    whole: bool
    taken: int  # of the network's weights
    offered: int
    filled: int  # of the shared weights
    shared: int

    def __str__(self) -> str:
        """Return one sentence."""
        if self.whole:
            return "the pretrained network is a member, and the supernet starts as it"
        return (
            "the pretrained network is no member; "
            f"{100 * self.taken / self.offered:.0f} % of its weights found a place; "
            f"{100 * self.filled / self.shared:.0f} % of the shared weights start from them, the others at random"
        )


@torch.no_grad()
def start_from(supernet: Supernet, architecture: Architecture, state: Mapping[str, Tensor]) -> Started:
    """Lay the tensors of `architecture`, by name, into the shared weights of a supernet; return how much fitted.

    The architecture has its own strides and the supernet's classes; its resolution does not matter.
    """
    space = supernet.space
    member = architecture.with_resolution(max(space.spec.resolutions)).with_classes(space.spec.classes)
    whole = member in space
    pairs = supernet.steps(member) if whole else _laid_over(supernet, architecture)
    taken: dict[str, int] = {}
    filled = 0
    for part, prefix in pairs:
        for name, count in _fill(part, prefix, state):
            taken[name] = max(taken.get(name, 0), count)
            filled += count
    return Started(
        whole=whole,
        taken=sum(taken.values()),
        offered=sum(tensor.numel() for name, tensor in state.items() if _is_weight(name)),
        filled=filled,
        shared=sum(parameter.numel() for parameter in supernet.parameters()),
    )


def _is_weight(name: str) -> bool:
    return name.endswith((".weight", ".bias"))


def _fill(part: SharedPart, prefix: str, state: Mapping[str, Tensor]) -> Iterator[tuple[str, int]]:
    """Copy what overlaps; yield the name of each weight and how many of its numbers were taken."""
    for path, leaf in part.named_modules():
        for name, full in (*leaf.named_parameters(recurse=False), *leaf.named_buffers(recurse=False)):
            given = state.get(f"{prefix}.{path}.{name}")
            if given is None or given.ndim != full.ndim:
                continue
            if full.ndim == 0:
                full.copy_(given)
                continue
            lead = tuple(slice(min(a, b)) for a, b in zip(full.shape[:2], given.shape[:2], strict=True))
            here, there = full[lead], given[lead]
            if full.ndim == 4:
                here.zero_()
                side = min(here.shape[-1], there.shape[-1])
                here, there = _centre(here, side), _centre(there, side)
            here.copy_(there)
            if _is_weight(name := f"{prefix}.{path}.{name}"):
                yield name, there.numel()


def _centre(kernels: Tensor, side: int) -> Tensor:
    start = (kernels.shape[-1] - side) // 2
    return kernels[..., start : start + side, start : start + side]


def _laid_over(supernet: Supernet, architecture: Architecture) -> Iterator[tuple[SharedPart, str]]:
    """Yield the places of the space with the layer of the network that each starts as."""
    parts = supernet.parts
    yield parts["stem"], "stem"  # type: ignore[misc]
    theirs = _stages(architecture)
    for reduction, numbers in _stages_of(supernet.space).items():
        for number, blocks in zip(numbers, theirs.get(reduction, []), strict=False):
            stage = supernet.space.plans[number].stage
            for layer, index in zip(range(len(stage.fixed) or stage.depths[-1]), blocks, strict=False):
                family = architecture.blocks[index].family.kind
                for name in supernet.places_of(number, layer, family):
                    yield parts[name], f"blocks.{index}"  # type: ignore[misc]
    for name in parts:
        if name.startswith("head"):
            yield parts[name], "head"  # type: ignore[misc]


def _stages(architecture: Architecture) -> dict[int, list[list[int]]]:
    """The network's blocks, by number, in stages of one width, by how many times smaller than the image they give."""
    found: dict[int, list[list[int]]] = {}
    reduction = architecture.stem.stride
    key: list[tuple[int, int, int]] = []
    for number, block in enumerate(architecture.blocks):
        reduction *= block.stride
        key.append((reduction, block.out, number))
    for (at, _), members in groupby(key, lambda entry: entry[:2]):
        found.setdefault(at, []).append([number for _, _, number in members])
    return found


def _stages_of(space: SearchSpace) -> dict[int, list[int]]:
    """The space's stages, by number, by how many times smaller than the image they give."""
    found: dict[int, list[int]] = {}
    reduction = space.spec.stem.stride
    for number, plan in enumerate(space.plans):
        fixed: tuple[Block, ...] = plan.stage.fixed
        for stride in [block.stride for block in fixed] or [plan.stage.stride]:
            reduction *= stride
        found.setdefault(reduction, []).append(number)
    return found
