"""Depthwise convolution of maps smaller than the kernel, with a weight gradient that is quick on a CPU.

Where a kernel is wider than the map, torch's CPU weight gradient leaves its fast path and takes 60 to 150 times as
long as the forward pass (`benchmarks/small_maps.py`), most of a training step on small images. Summing
products tap by tap takes about five times as long as the forward pass.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_input


def pays(x: Tensor, weight: Tensor, groups: int) -> bool:
    """Tell whether `depthwise` is the quicker way to convolve x at stride 1, as far as gradients are wanted."""
    small = groups == x.shape[1] == weight.shape[0] and weight.shape[-1] > max(x.shape[-2:])
    plain = x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    return small and plain and torch.is_grad_enabled() and weight.requires_grad


def depthwise(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve (batch, channels, h, w) with (channels, 1, k, k) at stride 1, padded to the same size; k is odd."""
    result: Tensor = _Depthwise.apply(x, weight)
    return result


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor]:
        x, weight = ctx.saved_tensors
        grad_x = None
        if ctx.needs_input_grad[0]:
            padding = weight.shape[-1] // 2
            grad_x = conv2d_input(x.shape, weight, grad, padding=padding, groups=len(weight))
        return grad_x, weight_gradient(x, grad, weight.shape[-1])


def weight_gradient(x: Tensor, grad: Tensor, kernel: int) -> Tensor:
    """Return the gradient by the weight, shape (channels, 1, kernel, kernel), of x and the outputs' gradient.

    Sums, for each tap, the products of the outputs' gradients with the inputs that the tap met.
    """
    rows, columns = x.shape[-2:]
    taps = x.new_zeros(kernel, kernel, x.shape[1])
    for i in range(kernel):
        for j in range(kernel):
            down, right = i - kernel // 2, j - kernel // 2
            if abs(down) >= rows or abs(right) >= columns:
                continue  # meets padding only
            met = x[:, :, max(0, down) : rows + min(0, down), max(0, right) : columns + min(0, right)]
            of = grad[:, :, max(0, -down) : rows - max(0, down), max(0, -right) : columns - max(0, right)]
            torch.sum(met * of, (0, 2, 3), out=taps[i, j])
    return taps.permute(2, 0, 1).unsqueeze(1)
