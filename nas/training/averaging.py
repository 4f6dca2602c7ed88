"""The exponential moving average of a network's weights, as TensorFlow's recipes evaluate it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Tensors = list[Tensor] | tuple[Tensor, ...]


class AveragedNetwork(AveragedModel):
    """A copy of a network whose parameters and batch-norm statistics follow it slowly; evaluate `.module`.

    The decay ramps up as (1 + updates) / (10 + updates) until it reaches `decay`, TensorFlow's `num_updates`
    rule, so that a short run does not average in its random start.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        def average(averaged: Tensors, current: Tensors, _: Any) -> None:
            # The counter on the CPU, not the argument's copy on the device: reading that would wait for the
            # GPU.
            count = int(self.n_averaged)
            share = 1 - min(decay, (1 + count) / (10 + count))
            if averaged[0].is_floating_point():
                torch._foreach_lerp_(averaged, current, share)
            else:  # batch counters
                torch._foreach_copy_(averaged, current)

        super().__init__(network, multi_avg_fn=average, use_buffers=True)
