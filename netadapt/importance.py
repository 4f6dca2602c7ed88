"""Which channels of a group matter most: magnitudes of weights, batch-norm scales, or first-order Taylor terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

import torch
from torch import Tensor

from netadapt.groups import Group
from netadapt.layout import WeightLayer, weight_layers
from searchspace.architecture import Architecture
from searchspace.support.errors import UserError


class Criterion(StrEnum):
    """How channels are ranked."""

    L1 = "l1"  # sum of absolute filter weights (Li et al., ICLR 2017)
    L2 = "l2"  # norm of the filter; NetAdapt's own
    NORM = "bn"  # absolute batch-norm scale (network slimming, Liu et al., ICCV 2017)
    TAYLOR = "taylor"  # |activation x gradient| (Molchanov et al., CVPR 2019, equation 8 on gates after batch norm)


State = Mapping[str, Tensor]
"""A network's tensors by name, as `state_dict` gives them."""


def channel_scores(
    architecture: Architecture, group: Group, state: State, criterion: Criterion, gradients: State | None = None
) -> Tensor:
    """Return one score for each channel of a group, (width,): the sum over all layers that write the group.

    `gradients` are those of the loss by parameter name, which the Taylor criterion needs. Raises UserError for that
    criterion without them, and for batch-norm scales that are all equal, as in networks with batch norm folded away.
    """
    writers = list(_writers(architecture, group))
    if criterion is Criterion.TAYLOR:
        if gradients is None:
            raise UserError("ranking channels by Taylor terms needs gradients: give training data, or use l1, l2 or bn")
        return torch.stack([_taylor(layer, state, gradients) for layer in writers]).sum(0)
    if criterion is Criterion.NORM:
        scales = torch.stack([_scale(layer, state) for layer in writers]).sum(0)
        if len(scales) > 1 and torch.equal(scales, scales[:1].expand_as(scales)):
            raise UserError(
                f"{group.name}: all batch-norm scales are equal, so they rank nothing; use l1, l2 or taylor"
            )
        return scales
    power = 1 if criterion is Criterion.L1 else 2
    filters = torch.stack([state[layer.weight].flatten(1).abs().pow(power).sum(1) for layer in writers]).sum(0)
    return filters if criterion is Criterion.L1 else filters.sqrt()


def _writers(architecture: Architecture, group: Group) -> Iterator[WeightLayer]:
    """Yield the dense layers that compute the group's channels; squeeze-excite's gate only scales them."""
    for layer in weight_layers(architecture):
        if layer.writes in group.sites and not layer.depthwise and not layer.gates:
            yield layer


def _scale(layer: WeightLayer, state: State) -> Tensor:
    scale = state[layer.scale_and_shift[0]].abs()
    return scale if layer.normalised else scale.flatten(1).sum(1)


def _taylor(layer: WeightLayer, state: State, gradients: State) -> Tensor:
    """Return |sum of activation x gradient| before the non-linearity: scale x its gradient + shift x its gradient.

    An output channel is scale x (something) + shift, so summed over batch and pixels activation x gradient is exactly
    that, and no activation need be kept.
    """
    terms = [state[name] * gradients[name] for name in layer.scale_and_shift]
    return sum((term.flatten(1).sum(1) if term.dim() > 1 else term for term in terms), torch.zeros(())).abs()
