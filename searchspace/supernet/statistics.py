"""Batch-norm statistics of one network, measured afresh.

Statistics gathered while training a supernet mix those of all its networks and fit none; every network is evaluated
with its own (Yu and Huang 2019, arXiv 1903.05134, section 3.2).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the running mean and variance of every batch norm to their average over batches (n, 3, size, size).

    The network's weights and mode are left as they were; images are moved to its device.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    was_training = network.training
    device = next(network.parameters()).device
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
        norm.train()
    try:
        for images in batches:
            network(images.to(device))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        network.train(was_training)
