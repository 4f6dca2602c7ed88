"""The update rules of the recipes: torch's SGD and AdamW, and RMSProp with TensorFlow's semantics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from nas.training.recipes import OptimizerKind, Recipe


class TensorFlowRMSProp(Optimizer):
    """RMSProp as TensorFlow computes it, the rule all published MobileNet recipes were tuned with.

    It differs from `torch.optim.RMSprop` in three places: epsilon stands inside the square root, the mean
    square starts at one, and the momentum buffer holds steps already multiplied by the learning rate. With
    the recipes' epsilon of 0.001 to 0.002 the first alone changes small-gradient steps many times over. timm's
    RMSpropTF is the same rule (five steps on V3-Large agree to 5e-7); it is not used because timm brings
    torchvision and a thousand models along for these thirty lines.

    mean_square = decay x mean_square + (1 - decay) x gradient^2
    step        = momentum x step + lr x gradient / sqrt(mean_square + epsilon)
    """

    def __init__(
        self, params: Any, lr: float, decay: float, momentum: float, epsilon: float, weight_decay: float = 0.0
    ) -> None:
        defaults = {
            "lr": lr,
            "decay": decay,
            "momentum": momentum,
            "epsilon": epsilon,
            "weight_decay": weight_decay,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                self._update(group, parameters)
        return loss

    def _update(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        weights: list[Tensor] = [parameter.data for parameter in parameters]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))
        mean_squares, steps = self._state_of(parameters)
        torch._foreach_mul_(mean_squares, group["decay"])
        torch._foreach_addcmul_(mean_squares, gradients, gradients, value=1 - group["decay"])
        divisors = list(torch._foreach_add(mean_squares, group["epsilon"]))
        torch._foreach_sqrt_(divisors)
        torch._foreach_mul_(steps, group["momentum"])
        torch._foreach_addcdiv_(steps, gradients, divisors, value=group["lr"])
        torch._foreach_sub_(weights, steps)

    def _state_of(self, parameters: list[nn.Parameter]) -> tuple[list[Tensor], list[Tensor]]:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {
                    "mean_square": torch.ones_like(parameter),
                    "step": torch.zeros_like(parameter),
                }
        states = [self.state[parameter] for parameter in parameters]
        return [state["mean_square"] for state in states], [state["step"] for state in states]


def build_optimizer(network: nn.Module, recipe: Recipe) -> Optimizer:
    """Return the recipe's optimizer over all parameters of a network."""
    groups = parameter_groups(network, recipe.weight_decay, everything=recipe.decay_all_parameters)
    if recipe.optimizer is OptimizerKind.RMSPROP:
        return TensorFlowRMSProp(
            groups,
            lr=recipe.learning_rate,
            decay=recipe.rmsprop_decay,
            momentum=recipe.momentum,
            epsilon=recipe.rmsprop_epsilon,
        )
    if recipe.optimizer is OptimizerKind.ADAMW:
        return AdamW(groups, lr=recipe.learning_rate, betas=(recipe.momentum, recipe.adam_decay))
    return SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov)


def parameter_groups(network: nn.Module, weight_decay: float, *, everything: bool = False) -> list[dict[str, Any]]:
    """Return two groups: weights with decay; biases and batch-norm parameters without, unless
    `everything`."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for parameter in network.parameters():
        (decayed if everything or parameter.ndim > 1 else free).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def set_learning_rate(optimizer: Optimizer, learning_rate: float) -> None:
    """Set the learning rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def clip_gradients(parameters: Iterable[nn.Parameter], norm: float | None) -> None:
    """Scale all gradients down to a total L2 norm, where one is given."""
    if norm is not None:
        nn.utils.clip_grad_norm_(parameters, norm)
