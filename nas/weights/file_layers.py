"""Layers as a file lists them, and a network of ours filled with them in running order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from searchspace.architecture import Activation, Architecture
from searchspace.modules import ConvBNAct, Network, empty_network
from searchspace.support.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Norm:
    """A batch norm of (channels,) vectors with the epsilon it was trained with."""

    weight: Tensor
    bias: Tensor
    mean: Tensor
    variance: Tensor
    epsilon: float


@dataclass(frozen=True, kw_only=True)
class FileLayer:
    """One layer with weights, (out, in / groups, k, k) or (out, in).

    `norm` is None where batch norm is folded into weight and bias. `stride` and `activation` are None where the file
    does not say.
    """

    name: str
    weight: Tensor
    bias: Tensor | None = None
    norm: Norm | None = None
    stride: int | None = None
    activation: Activation | None = None

    @property
    def outputs(self) -> int:
        """Number of output channels."""
        return int(self.weight.shape[0])


def fill_network(architecture: Architecture, layers: Sequence[FileLayer], source: str) -> Network:
    """Return the network, with as many classes as the last layer has outputs, filled with a file's layers.

    Raises UserError naming the first layer that differs in shape, stride or activation, and tensors that are not
    finite.
    """
    if not layers:
        raise UserError(f"{source} holds no layer with weights")
    network = empty_network(architecture.with_classes(layers[-1].outputs))
    ours = list(_layers_of(network))
    with torch.no_grad():
        for (name, module), layer in zip(ours, layers, strict=False):
            _compare(name, module, layer, source)
            _check_numbers(layer, source)
            _fill(module, layer)
    if len(ours) != len(layers):
        longer = f"the network goes on with {ours[len(layers)][0]}" if len(ours) > len(layers) else (
            f"the file goes on with {layers[len(ours)].name}"
        )  # fmt: skip
        raise UserError(f"{source} holds weights of another network: {len(layers)} layers match, then {longer}")
    return network.eval()


def without_background(layers: Sequence[FileLayer]) -> list[FileLayer]:
    """Return the layers with the first output of the last one, TensorFlow's background class, left out."""
    last = layers[-1]
    bias = None if last.bias is None else last.bias[1:]
    return [*layers[:-1], FileLayer(name=last.name, weight=last.weight[1:], bias=bias, activation=last.activation)]


def _layers_of(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield every layer with weights, in running order; a convolution with its batch norm is one."""
    for name, module in network.named_modules():
        inside = name.rpartition(".")[0]
        if isinstance(module, ConvBNAct | nn.Linear) or (
            isinstance(module, nn.Conv2d) and not isinstance(network.get_submodule(inside), ConvBNAct)
        ):
            yield name, module


def _compare(name: str, module: nn.Module, layer: FileLayer, source: str) -> None:
    expected = tuple(_weight(module).shape)
    found = tuple(layer.weight.shape)
    differs = ""
    if _shape(expected) != _shape(found):
        differs = f"it has weights {found} where the network has {expected}"
    elif isinstance(module, ConvBNAct):
        if layer.stride not in (None, module.stride):
            differs = f"its stride is {layer.stride} where the network has {module.stride}"
        elif layer.activation not in (None, module.activation):
            differs = f"it is followed by {layer.activation} where the network has {module.activation}"
    if differs:
        raise UserError(f"{source} holds weights of another network: the first layer that differs is {name} "
                        f"('{layer.name[:60]}' in the file): {differs}")  # fmt: skip


def _shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape in which a fully connected layer and a 1x1 convolution are alike."""
    return shape[:2] if shape[2:] == (1, 1) else shape


def _check_numbers(layer: FileLayer, source: str) -> None:
    norm = layer.norm
    vectors = () if norm is None else (norm.weight, norm.bias, norm.mean, norm.variance)
    for tensor in (layer.weight, layer.bias, *vectors):
        if tensor is not None and not tensor.is_floating_point():
            raise UserError(f"{source}: '{layer.name}' holds {tensor.dtype} numbers without a scale, expected floats")
        if tensor is not None and not bool(torch.isfinite(tensor).all()):
            raise UserError(f"{source}: '{layer.name}' holds numbers that are not finite; the file is damaged")
        if tensor is not None and tensor is not layer.weight and tensor.shape != (layer.outputs,):
            raise UserError(
                f"{source}: '{layer.name}' has {layer.outputs} outputs and a vector of {tuple(tensor.shape)}"
            )
    if norm is not None and bool((norm.variance < 0).any()):
        raise UserError(f"{source}: '{layer.name}' has a negative variance; the file is damaged")


def _weight(module: nn.Module) -> Tensor:
    weight = module.conv.weight if isinstance(module, ConvBNAct) else module.weight
    assert isinstance(weight, Tensor)
    return weight


def _fill(module: nn.Module, layer: FileLayer) -> None:
    weight = _weight(module)
    if not isinstance(module, ConvBNAct) and layer.norm is not None:
        layer = _folded(layer, layer.norm)
    weight.copy_(layer.weight.reshape(weight.shape))
    if not isinstance(module, ConvBNAct):
        assert isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None
        module.bias.copy_(torch.zeros(layer.outputs) if layer.bias is None else layer.bias)
        return
    norm = module.norm
    assert norm.running_mean is not None and norm.running_var is not None
    norm.reset_running_stats()
    bias = torch.zeros(layer.outputs) if layer.bias is None else layer.bias
    if layer.norm is None:
        norm.weight.fill_(1.0)
        norm.bias.copy_(bias)
        norm.running_var.fill_(1.0 - norm.eps)
        return
    # The same function under our epsilon: the scale takes up the difference.
    rescale = ((layer.norm.variance.double() + norm.eps) / (layer.norm.variance.double() + layer.norm.epsilon)).sqrt()
    norm.weight.copy_(layer.norm.weight.double() * rescale)
    norm.bias.copy_(layer.norm.bias)
    norm.running_mean.copy_(layer.norm.mean - bias)
    norm.running_var.copy_(layer.norm.variance)


def _folded(layer: FileLayer, norm: Norm) -> FileLayer:
    """Return a layer without batch norm that computes the same: ours has none there (MobileNetV4's hidden layer)."""
    scale = norm.weight.double() / (norm.variance.double() + norm.epsilon).sqrt()
    bias = torch.zeros(layer.outputs) if layer.bias is None else layer.bias
    shape = (-1, *[1] * (layer.weight.ndim - 1))
    return FileLayer(
        name=layer.name,
        weight=(layer.weight.double() * scale.reshape(shape)).float(),
        bias=(norm.bias.double() + (bias.double() - norm.mean.double()) * scale).float(),
    )
