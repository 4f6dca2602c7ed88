"""Quantisation-aware training: the forward pass rounds what a full-integer TFLite file rounds.

Weights are rounded to int8 for each output channel, symmetrically; activations to int8 for each tensor, over the range
they have in the batch, where an operator of the file reads them: batch norm and ReLU are part of the convolution before
them, so that nothing is rounded in between. Scaling a channel commutes with rounding it, so that batch norm needs no
folding. Gradients pass the rounding as if it were not there, within the range (Jacob et al. 2018,
https://arxiv.org/abs/1712.05877). Rounding has no state: a resumed training computes the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nas.data import Batch
from nas.training.evaluation import Accuracy, evaluate
from nas.training.execution import Execution
from nas.training.step import training_step

_LOWEST, _HIGHEST = -128, 127
_WEIGHTED = frozenset({"conv2d", "linear"})
# What reads its inputs as integers in the file.
_READING = frozenset(
    {"hardswish", "sigmoid", "mean", "cat", "add", "__add__", "__iadd__", "mul", "__mul__", "__imul__"}
)
_LEAST_RANGE = 1e-6


def rounded(activation: Tensor) -> Tensor:
    """Return an activation rounded to 256 steps between its smallest and its largest value, 0 among them."""
    low = activation.detach().amin().clamp(max=0)
    high = activation.detach().amax().clamp(min=0)
    scale = (high - low).clamp(min=_LEAST_RANGE) / (_HIGHEST - _LOWEST)
    zero = (_LOWEST - low / scale).round().clamp(_LOWEST, _HIGHEST).to(torch.int32)
    found: Tensor = torch.fake_quantize_per_tensor_affine(activation, scale, zero, _LOWEST, _HIGHEST)
    return found


def rounded_weights(weights: Tensor) -> Tensor:
    """Return weights (out, ...) rounded to 255 steps around 0, for each output channel."""
    scale = weights.detach().abs().flatten(1).amax(1).clamp(min=_LEAST_RANGE) / _HIGHEST
    zero = torch.zeros(len(weights), dtype=torch.int32, device=weights.device)
    found: Tensor = torch.fake_quantize_per_channel_affine(weights, scale, zero, 0, -_HIGHEST, _HIGHEST)
    return found


class Rounded(nn.Module):
    """A network whose forward pass rounds as its int8 file does; it shares the network's parameters."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return the rounded logits (batch, classes) of images (batch, 3, size, size)."""
        with _Rounding():
            logits = self.network(x)
        return rounded(logits)


def rounded_step(
    network: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, execution: Execution, **options: Any
) -> tuple[Tensor, Tensor]:
    """Take one optimisation step with rounding; as `training_step`."""
    return training_step(Rounded(network), optimizer, batch, execution, **options)


def evaluate_rounded(network: nn.Module, batches: Iterable[Batch]) -> Accuracy:
    """Return the accuracy with rounding; as `evaluate`."""
    return evaluate(Rounded(network), batches)


class _Rounding(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self._made: dict[int, tuple[Tensor, Tensor]] = {}  # by id, each kept alive with its original

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(function, "__name__", "")
        if name in _WEIGHTED:
            args = (self._once(args[0]), rounded_weights(args[1]), *args[2:])
        elif name in _READING:
            args = tuple(map(self._read, args))
        return function(*args, **(kwargs or {}))

    def _read(self, argument: Any) -> Any:
        if isinstance(argument, tuple | list):
            return type(argument)(map(self._read, argument))
        return self._once(argument) if isinstance(argument, Tensor) and argument.is_floating_point() else argument

    def _once(self, tensor: Tensor) -> Tensor:
        """Return the rounded tensor, the same for every operator that reads it."""
        if id(tensor) not in self._made:
            made = rounded(tensor)
            self._made[id(tensor)] = (tensor, made)
            self._made[id(made)] = (made, made)
        return self._made[id(tensor)][1]
