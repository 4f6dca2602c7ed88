"""The networks as PyTorch modules."""

from searchspace.modules.blocks import BlockModule, build_block
from searchspace.modules.layers import ConvBNAct, SqueezeExcite, activate, add_identity, conv_same, gate
from searchspace.modules.network import HeadModule, Network, build_network, empty_network, initialise

__all__ = [
    "BlockModule",
    "ConvBNAct",
    "HeadModule",
    "Network",
    "SqueezeExcite",
    "activate",
    "add_identity",
    "build_block",
    "build_network",
    "conv_same",
    "empty_network",
    "gate",
    "initialise",
]
