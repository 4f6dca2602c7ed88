"""The plain network of an architecture: what is trained, pruned and exported."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from searchspace.architecture import Architecture, Head
from searchspace.modules.blocks import build_block
from searchspace.modules.layers import ConvBNAct, activate


class HeadModule(nn.Module):
    """1x1 convolution where there is one, pooling, hidden layer where there is one, dropout, classifier."""

    def __init__(self, head: Head, in_channels: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.activation = head.activation
        pooled = head.conv or in_channels
        self.conv = ConvBNAct(in_channels, head.conv, activation=head.activation) if head.conv else None
        self.hidden: nn.Module | None = None
        if head.normalised:
            self.hidden = ConvBNAct(pooled, head.hidden, activation=head.activation)
        elif head.hidden:
            self.hidden = nn.Linear(pooled, head.hidden)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(head.hidden or pooled, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, size, size) to logits (batch, classes)."""
        if self.conv is not None:
            x = self.conv(x)
        # Kept dimensions spare the exported model a transpose in front of the pooling.
        x = x.mean((2, 3), keepdim=True)
        if isinstance(self.hidden, ConvBNAct):
            x = self.hidden(x)
        x = x.flatten(1)
        if isinstance(self.hidden, nn.Linear):
            x = activate(self.hidden(x), self.activation)
        logits: Tensor = self.classifier(self.dropout(x))
        return logits


class Network(nn.Module):
    """A whole network; any image size works, `architecture.resolution` is what its latency is quoted at."""

    def __init__(self, architecture: Architecture, dropout: float = 0.0) -> None:
        super().__init__()
        self.architecture = architecture
        stem = architecture.stem
        self.stem = ConvBNAct(3, stem.out, stem.kernel, stem.stride, stem.activation, padding=architecture.padding)
        self.blocks = nn.Sequential(*map(build_block, architecture.placed_blocks()))
        self.head = HeadModule(architecture.head, architecture.blocks[-1].out, architecture.classes, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (batch, 3, size, size) to logits (batch, classes)."""
        logits: Tensor = self.head(self.blocks(self.stem(x)))
        return logits


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Give every layer below `module` fresh weights: He et al. 2015 (fan out) for convolutions, N(0, 0.01) for
    linear layers, zero biases, identity batch norm."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01, generator=generator)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            if layer.affine:
                nn.init.ones_(layer.weight)
        bias = getattr(layer, "bias", None)
        if isinstance(bias, nn.Parameter):
            nn.init.zeros_(bias)


def empty_network(architecture: Architecture, dropout: float = 0.0) -> Network:
    """Return the network with weights that hold no meaning yet, for filling from a state dict; milliseconds."""
    with torch.device("meta"):
        network = Network(architecture, dropout)
    network.to_empty(device="cpu")
    return network


def build_network(architecture: Architecture, *, seed: int, dropout: float = 0.0) -> Network:
    """Return the network with fresh weights drawn from `seed`; the global random state is left alone."""
    network = empty_network(architecture, dropout)
    initialise(network, torch.Generator().manual_seed(seed))
    return network
