"""Depthwise convolution with gradients that are quick on a CPU, where torch's own leave their fast path.

torch's CPU code has a fast weight gradient for 3x3 kernels on maps wider than the kernel. In float32 the others take
5 to 10 times as long as the forward pass, on maps smaller than the kernel 15 to 60 times; in bfloat16 20 to 90 times,
and at stride 2 the input's gradient as much (`benchmarks/depthwise.py`), which is most of a training step. Here:

- *windows*: the gradient of a 5x5 or 7x7 kernel, put together from 3x3 ones on shifted inputs;
- *taps*: sums of products, tap by tap, where a map is smaller than the kernel;
- *float32*: torch's own gradient in float32 for tensors in bfloat16.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

FAST_KERNEL = 3  # the only one that has a fast weight gradient in torch
WINDOWED_MAP_PX = 8  # up to here nine windows are quicker than a 7x7 gradient in float32, beyond it four for 5x5 alone


class Padding(NamedTuple):
    """Rows and columns of zeros around a map: the same number at the top as on the left, at the bottom as right."""

    before: int
    after: int


def pays(x: Tensor, weight: Tensor, groups: int, stride: int = 1) -> bool:
    """Tell whether `depthwise` is the quicker way to convolve x, as far as gradients are wanted."""
    if groups != x.shape[1] or groups != weight.shape[0] or x.device.type != "cpu":
        return False
    if not (torch.is_grad_enabled() and weight.requires_grad):
        return False
    kernel = weight.shape[-1]
    if _dtype(x) is torch.bfloat16:
        return kernel > FAST_KERNEL or stride > 1
    return stride == 1 and kernel > max(x.shape[-2:])


def depthwise(x: Tensor, weight: Tensor, stride: int, padding: Padding) -> Tensor:
    """Convolve (batch, channels, h, w) with (channels, 1, k, k), k odd, in the precision that autocast asks for."""
    dtype = _dtype(x)
    result: Tensor = _Depthwise.apply(x.to(dtype), weight.to(dtype), stride, padding)
    return result


def _dtype(x: Tensor) -> torch.dtype:
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: Padding) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        if padding.before == padding.after:
            return F.conv2d(x, weight, stride=stride, padding=padding.before, groups=len(weight))
        return F.conv2d(F.pad(x, (padding.before, padding.after) * 2), weight, stride=stride, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        grad_x = input_gradient(x, weight, grad, ctx.stride, ctx.padding) if ctx.needs_input_grad[0] else None
        grad_weight = None
        if ctx.needs_input_grad[1]:
            grad_weight = weight_gradient(x, grad, weight.shape[-1], ctx.stride, ctx.padding)
        return grad_x, grad_weight, None, None


def input_gradient(x: Tensor, weight: Tensor, grad: Tensor, stride: int, padding: Padding) -> Tensor:
    """Return the gradient by x; at stride 2 bfloat16 has no fast path, so it is computed in float32."""
    dtype = torch.float32 if x.dtype is torch.bfloat16 and stride > 1 else x.dtype
    rows, columns = x.shape[-2:]
    even = padding.before == padding.after
    more = 0 if even else sum(padding)
    layout = torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    # Only the shape of x matters here.
    like = torch.empty(*x.shape[:2], rows + more, columns + more, dtype=dtype, memory_format=layout)
    around = padding.before if even else 0
    found = _torch_gradients(like, weight.to(dtype), grad.to(dtype), stride, around, [True, False, False])[0]
    if not even:
        found = found[:, :, padding.before : padding.before + rows, padding.before : padding.before + columns]
    return found.to(x.dtype)


def weight_gradient(x: Tensor, grad: Tensor, kernel: int, stride: int, padding: Padding) -> Tensor:
    """Return the gradient by the weight, shape (channels, 1, kernel, kernel), of x and the outputs' gradient."""
    dtype = x.dtype
    if kernel > FAST_KERNEL and dtype is torch.bfloat16:
        if kernel == 5 or max(grad.shape[-2:]) <= WINDOWED_MAP_PX:
            return windows(x, grad, kernel, stride, padding)
        dtype = torch.float32
    elif stride == 1 and kernel > max(x.shape[-2:]):
        return taps(x, grad, kernel)
    like = x.new_empty(x.shape[1], 1, kernel, kernel, dtype=dtype)
    even = padding.before == padding.after
    met = x if even else F.pad(x, (padding.before, padding.after) * 2)
    around = padding.before if even else 0
    found = _torch_gradients(met.to(dtype), like, grad.to(dtype), stride, around, [False, True, False])[1]
    return found.to(x.dtype)


def windows(x: Tensor, grad: Tensor, kernel: int, stride: int, padding: Padding) -> Tensor:
    """Return the weight gradient from those of 3x3 kernels, which together cover the taps of a larger one."""
    channels = x.shape[1]
    rows, columns = ((side - 1) * stride + FAST_KERNEL for side in grad.shape[-2:])
    gradient = x.new_empty(channels, 1, kernel, kernel)
    corner = gradient[..., :FAST_KERNEL, :FAST_KERNEL]
    starts = sorted({min(start, kernel - FAST_KERNEL) for start in range(0, kernel, FAST_KERNEL)})
    for left in starts:
        first = left - padding.before  # negative crops where F.pad is given negative numbers of columns
        height = rows + kernel - FAST_KERNEL
        around = (-first, first + columns - x.shape[-1], padding.before, height - x.shape[-2] - padding.before)
        strip = F.pad(x, around).contiguous(memory_format=torch.channels_last)
        for top in starts:
            window = strip[:, :, top : top + rows]
            part = _torch_gradients(window, corner, grad, stride, 0, [False, True, False])[1]
            gradient[..., top : top + FAST_KERNEL, left : left + FAST_KERNEL] = part
    return gradient


def taps(x: Tensor, grad: Tensor, kernel: int) -> Tensor:
    """Return the weight gradient at stride 1: for each tap, outputs' gradients times the inputs that it met, summed."""
    rows, columns = x.shape[-2:]
    sums = x.new_zeros(kernel, kernel, x.shape[1])
    for i in range(kernel):
        for j in range(kernel):
            down, right = i - kernel // 2, j - kernel // 2
            if abs(down) >= rows or abs(right) >= columns:
                continue  # meets padding only
            met = x[:, :, max(0, down) : rows + min(0, down), max(0, right) : columns + min(0, right)]
            of = grad[:, :, max(0, -down) : rows - max(0, down), max(0, -right) : columns - max(0, right)]
            torch.sum(met * of, (0, 2, 3), out=sums[i, j])
    return sums.permute(2, 0, 1).unsqueeze(1)


def _torch_gradients(
    x: Tensor, weight: Tensor, grad: Tensor, stride: int, padding: int, wanted: list[bool]
) -> tuple[Tensor, ...]:
    """Return torch's own gradients by x and by the weight, as far as wanted."""
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        grad, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], len(weight), wanted
    )
    return found
