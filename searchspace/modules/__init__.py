"""The networks as PyTorch modules."""

from searchspace.modules.blocks import BlockModule, build_block
from searchspace.modules.fold import FoldedConv, fold_batch_norm
from searchspace.modules.layers import ConvBNAct, SqueezeExcite, activate, add_identity, conv_same, gate
from searchspace.modules.network import HeadModule, Network, build_network, empty_network, initialise

__all__ = [
    "BlockModule",
    "ConvBNAct",
    "FoldedConv",
    "HeadModule",
    "Network",
    "SqueezeExcite",
    "activate",
    "add_identity",
    "build_block",
    "build_network",
    "conv_same",
    "empty_network",
    "fold_batch_norm",
    "gate",
    "initialise",
]
