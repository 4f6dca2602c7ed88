"""The layers that every block is made of.

Padding is TensorFlow's SAME unless the network says otherwise: the networks of this family come from TensorFlow and run
in TFLite, so published weights load unchanged and an exported model computes what the trained one did.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspace.architecture import Activation, Gate, Padding
from searchspace.modules import depthwise

# tensorflow/models research/slim/nets/mobilenet and torchvision's MobileNetV3 agree on these two.
NORM_EPS = 1e-3
NORM_MOMENTUM = 0.01


def activate(x: Tensor, activation: Activation) -> Tensor:
    """Apply a non-linearity; h-swish is x relu6(x + 3) / 6 (MobileNetV3 section 5.2)."""
    match activation:
        case Activation.RELU:
            return F.relu(x)
        case Activation.RELU6:
            return F.relu6(x)
        case Activation.HSWISH:
            return F.hardswish(x)
        case Activation.LINEAR:
            return x


def gate(x: Tensor, kind: Gate) -> Tensor:
    """Map the last layer of squeeze-excite to a factor between 0 and 1."""
    return F.hardsigmoid(x) if kind is Gate.HARD else torch.sigmoid(x)


def conv_same(x: Tensor, weight: Tensor, stride: int, groups: int, bias: Tensor | None = None) -> Tensor:
    """Convolve (batch, in, size, size) with (out, in / groups, k, k), padded as TensorFlow's SAME."""
    kernel = weight.shape[-1]
    if stride == 1:
        # Taps further out than the map is wide only ever meet padding, and cost as much as the others.
        outside = kernel // 2 - (max(x.shape[-2:]) - 1)
        if outside > 0:
            weight = weight[..., outside : kernel - outside, outside : kernel - outside]
            kernel = weight.shape[-1]
        return _convolved(x, weight, 1, groups, depthwise.Padding(kernel // 2, kernel // 2), bias)
    needed = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[-2:]]
    (top, left), (bottom, right) = [n // 2 for n in needed], [n - n // 2 for n in needed]
    if top == left and bottom == right:
        return _convolved(x, weight, stride, groups, depthwise.Padding(top, bottom), bias)
    return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, stride=stride, groups=groups)


def _conv_symmetric(x: Tensor, weight: Tensor, stride: int, groups: int) -> Tensor:
    """Convolve as `conv_same` does, padded by half a kernel on every side."""
    half = weight.shape[-1] // 2
    return _convolved(x, weight, stride, groups, depthwise.Padding(half, half))


def _convolved(
    x: Tensor, weight: Tensor, stride: int, groups: int, padding: depthwise.Padding, bias: Tensor | None = None
) -> Tensor:
    if bias is None and depthwise.pays(x, weight, groups, stride):
        return depthwise.depthwise(x, weight, stride, padding)
    before, after = padding
    if before != after:
        x, before = F.pad(x, (before, after, before, after)), 0
    return F.conv2d(x, weight, bias, stride=stride, padding=before, groups=groups)


class ConvBNAct(nn.Module):
    """Convolution without bias, batch norm and activation: (batch, in, size, size) to (batch, out, size', size')."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        activation: Activation = Activation.LINEAR,
        depthwise: bool = False,
        padding: Padding = Padding.SAME,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.activation = activation
        self.padding = padding
        self.groups = in_channels if depthwise else 1
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, groups=self.groups, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, eps=NORM_EPS, momentum=NORM_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated, normalised convolution of x."""
        convolve = conv_same if self.padding is Padding.SAME or self.stride == 1 else _conv_symmetric
        return activate(self.norm(convolve(x, self.conv.weight, self.stride, self.groups)), self.activation)


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate computed from the pooled feature map (MobileNetV3 section 5.3)."""

    def __init__(self, channels: int, squeeze: int, kind: Gate) -> None:
        super().__init__()
        self.kind = kind
        self.reduce = nn.Conv2d(channels, squeeze, 1)
        self.expand = nn.Conv2d(squeeze, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return x of shape (batch, channels, size, size) with its channels scaled."""
        pooled = x.mean((2, 3), keepdim=True)
        return x * gate(self.expand(F.relu(self.reduce(pooled))), self.kind)


def add_identity(y: Tensor, x: Tensor, channels: int) -> Tensor:
    """Add the first `channels` channels of x to y, the others pass unchanged (MobileNeXt section 3.3)."""
    if channels == 0:
        return y
    if channels == y.shape[1]:
        return x + y
    return torch.cat((x[:, :channels] + y[:, :channels], y[:, channels:]), dim=1)
