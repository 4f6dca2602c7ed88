"""Batch norm folded into the convolutions before it: the same function with half the layers, for export."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from searchspace.modules.layers import ConvBNAct, activate, conv_same

Module = TypeVar("Module", bound=nn.Module)


class FoldedConv(nn.Module):
    """Convolution with bias and activation that computes what a `ConvBNAct` does in evaluation mode."""

    def __init__(self, layer: ConvBNAct) -> None:
        super().__init__()
        norm = layer.norm
        assert norm.running_var is not None and norm.running_mean is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        self.weight = nn.Parameter((layer.conv.weight * scale[:, None, None, None]).detach())
        self.bias = nn.Parameter((norm.bias - norm.running_mean * scale).detach())
        self.stride, self.groups, self.activation = layer.stride, layer.groups, layer.activation

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated convolution of x, shape (batch, in, size, size)."""
        return activate(conv_same(x, self.weight, self.stride, self.groups, self.bias), self.activation)


def fold_batch_norm(module: Module) -> Module:
    """Return a copy of `module` in evaluation mode with every `ConvBNAct` folded; other layers stay as they are."""
    folded = copy.deepcopy(module).eval()
    for parent in list(folded.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, ConvBNAct):
                setattr(parent, name, FoldedConv(child))
    return folded
