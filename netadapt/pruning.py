"""Weights of a slimmer network, truncated from those of a wider one.

The kept channels keep their order. Where a shortcut adds only to the leading share of a block's channels, as many
are kept on each side of that boundary as the smaller network has there, so that a kept channel computes what it did.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from netadapt.groups import Group, Role, Site, groups
from netadapt.importance import Criterion, State, channel_scores
from netadapt.layout import weight_layers
from searchspace.architecture import Architecture
from searchspace.blocks import LayerKind
from searchspace.modules.layers import NORM_EPS

Kept = Mapping[Site, Tensor]
"""For each site that shrinks, the indices of the channels kept, (new width,)."""


def prune(
    architecture: Architecture,
    smaller: Architecture,
    widths: Mapping[Group, int],
    state: State,
    criterion: Criterion = Criterion.L2,
    gradients: State | None = None,
) -> dict[str, Tensor]:
    """Return the state dict of `smaller`, which is `resized(architecture, widths)`, cut from `state`.

    Raises UserError when `state` is not of `architecture`, or as `channel_scores` does.
    """
    require_state(architecture, state)
    kept: dict[Site, Tensor] = {}
    for group, width in widths.items():
        scores = channel_scores(architecture, group, state, criterion, gradients)
        indices = kept_channels(scores, width, _boundaries(architecture, smaller, group))
        kept.update(dict.fromkeys(group.sites, indices))
    kept.update(_kept_squeezes(architecture, smaller, state))
    return _cut(architecture, state, kept)


def sorted_channels(architecture: Architecture, state: State) -> dict[str, Tensor]:
    """Return the weights of the same function with the strongest channels of every width first.

    A channel's strength is the norm of the filters that write it, times what batch norm scales them by. Where a
    shortcut adds only to the leading share of the channels, each side is sorted for itself.
    """
    require_state(architecture, state)
    scaled = _scaled_filters(architecture, state)
    order: dict[Site, Tensor] = {}
    for group in groups(architecture):
        scores = channel_scores(architecture, group, scaled, Criterion.L2)
        ends = sorted({*_boundaries(architecture, architecture, group), group.width})
        parts = [
            start + scores[start:end].argsort(descending=True, stable=True)
            for start, end in zip([0, *ends], ends, strict=False)
        ]
        order.update(dict.fromkeys(group.sites, torch.cat(parts)))
    for layer in weight_layers(architecture):
        if layer.writes is not None and layer.writes.role is Role.SQUEEZE:
            order[layer.writes] = state[layer.weight].flatten(1).norm(dim=1).argsort(descending=True, stable=True)
    return _cut(architecture, state, order)


def _scaled_filters(architecture: Architecture, state: State) -> dict[str, Tensor]:
    """Return the tensors with each filter times what its batch norm scales it by in evaluation."""
    scaled = dict(state)
    for layer in weight_layers(architecture):
        if layer.normalised:
            scale, variance = (state[f"{layer.module}.norm.{name}"] for name in ("weight", "running_var"))
            weight = state[layer.weight]
            factor = scale / (variance + NORM_EPS).sqrt()
            scaled[layer.weight] = weight * factor.view(-1, *[1] * (weight.ndim - 1))
    return scaled


def kept_channels(scores: Tensor, width: int, boundaries: Mapping[int, int] | None = None) -> Tensor:
    """Return the indices of the `width` best of `scores`, (channels,), in order; ties go to the first.

    `boundaries` maps a count of leading channels to how many channels are kept among them.
    """
    chosen: list[int] = []
    start = 0
    for end, kept_before_end in sorted({**(boundaries or {}), len(scores): width}.items()):
        # Only channels of the segment itself, unless several shortcut shares meet and rounding leaves it short.
        order = sorted(range(end), key=lambda channel: (channel < start, -float(scores[channel]), channel))
        free = [channel for channel in order if channel not in chosen]
        chosen += sorted(free[: kept_before_end - len(chosen)])
        start = end
    return torch.tensor(chosen, dtype=torch.long)


def _boundaries(architecture: Architecture, smaller: Architecture, group: Group) -> dict[int, int]:
    """Return, for every partial shortcut that the group carries, its channels before and after."""
    pairs = zip(architecture.placed_blocks(), smaller.placed_blocks(), strict=True)
    return {
        old.shortcut_channels: new.shortcut_channels
        for layer, (old, new) in enumerate(pairs, start=1)
        if Site(layer, Role.OUT) in group.sites and 0 < old.shortcut_channels < old.block.out
    }


def _kept_squeezes(architecture: Architecture, smaller: Architecture, state: State) -> dict[Site, Tensor]:
    """Return the channels kept inside each squeeze-excite that narrows, by the norm of their filters."""
    kept = {}
    pairs = zip(architecture.placed_blocks(), smaller.placed_blocks(), strict=True)
    for number, (old, new) in enumerate(pairs, start=1):
        for before, after in zip(old.wiring, new.wiring, strict=True):
            if before.kind is LayerKind.SQUEEZE_EXCITE and after.squeeze < before.squeeze:
                filters = state[f"blocks.{number - 1}.{before.name}.reduce.weight"]
                indices = kept_channels(filters.flatten(1).norm(dim=1), after.squeeze)
                kept[Site(number, Role.SQUEEZE)] = indices
    return kept


def _cut(architecture: Architecture, state: State, kept: Kept) -> dict[str, Tensor]:
    result = dict(state)
    for layer in weight_layers(architecture):
        if layer.writes is not None and layer.writes in kept:
            for name in (layer.weight, *layer.vectors):
                result[name] = result[name].index_select(0, kept[layer.writes])
        if layer.reads is not None and layer.reads in kept:
            result[layer.weight] = result[layer.weight].index_select(1, kept[layer.reads])
    return {name: tensor.clone() for name, tensor in result.items()}


def require_state(architecture: Architecture, state: State) -> None:
    """Raise UserError unless `state` has every weight of `architecture`, in its shape."""
    from searchspace.modules import empty_network
    from searchspace.weights import load_state

    load_state(empty_network(architecture), dict(state), "the given weights")
