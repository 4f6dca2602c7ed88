"""The paper's redesign by hand, each step a function from network to network (Howard et al., section 5).

A switch works on any network of inverted residuals with a MobileNetV2-like head: MnasNet-A1, what the controller or
NetAdapt found. Applied to V3-Large in reverse it gives the paper's ablations.
"""

from __future__ import annotations

from dataclasses import replace

from searchspace.architecture import Activation, Architecture, Gate, Head, InvertedResidual, Stem
from searchspace.blocks import Block, squeeze_channels
from searchspace.reference import reference

STEM_FILTERS = 16
HSWISH_WIDTH = 80
_LAST_CONV, _LAST_HIDDEN = 960, 1280


def hswish_from(width: int | None, network: Architecture | None = None) -> Architecture:
    """Return a network, by default V3-Large, with h-swish in blocks of at least `width` output channels.

    Blocks before them, or all with None, have ReLU; without a network the stem keeps its h-swish.
    """
    network = network or reference("mobilenet_v3_large")
    blocks = tuple(
        block.with_fields(activation=Activation.HSWISH if width is not None and block.out >= width else Activation.RELU)
        for block in network.blocks
    )
    return replace(network, blocks=blocks)


def with_stem(network: Architecture, filters: int, activation: Activation) -> Architecture:
    """Return the network with another stem; a first block that does not expand follows its width (section 5.2)."""
    first, *others = network.blocks
    if isinstance(first, InvertedResidual) and first.hidden == network.stem.out and not first.expand:
        first = first.with_fields(hidden=filters)
    stem = Stem(kernel=network.stem.kernel, stride=network.stem.stride, out=filters, activation=activation)
    return replace(network, stem=stem, blocks=(first, *others))


def with_cheap_last_stage(network: Architecture) -> Architecture:
    """Return the network with figure 5's last stage: the blocks of 320 channels gone, the features after pooling.

    The 1x1 convolution has as many channels as the first of those blocks expanded to: 960 in MnasNet-A1 and V3-Large.
    A network whose features already follow pooling stays as it is.
    """
    if network.head.hidden:
        return network
    kept = len(network.blocks)
    while kept > 1 and network.blocks[kept - 1].out == network.blocks[-1].out:
        kept -= 1
    first = network.blocks[kept]
    goes = first.stride == 1 and first.out > network.blocks[kept - 1].out
    conv = first.hidden if isinstance(first, InvertedResidual) else _LAST_CONV
    head = Head(conv=conv, hidden=network.head.conv or _LAST_HIDDEN, activation=Activation.HSWISH)
    return replace(network, blocks=network.blocks[:kept] if goes else network.blocks, head=head)


def with_original_last_stage(network: Architecture) -> Architecture:
    """Return V3-Large as it was before its last stage was made cheap: figure 5, upper row.

    960 channels by 1x1, a 3x3 depthwise convolution, 320, then 1280 channels before pooling. A network whose features
    come before pooling stays as it is.
    """
    if not network.head.hidden:
        return network
    block = InvertedResidual(kernel=3, stride=1, hidden=network.head.conv, out=320, activation=network.head.activation)
    head = Head(conv=network.head.hidden, activation=network.head.activation)
    return replace(network, blocks=(*network.blocks, block), head=head)


def with_squeeze_of_expansion(network: Architecture) -> Architecture:
    """Return the network with every squeeze-excite a quarter of the expansion wide, hard sigmoid (section 5.3)."""
    blocks = tuple(_squeezed(block, hard=True, block_in=0) for block in network.blocks)
    return replace(network, blocks=blocks)


def with_squeeze_of_input(network: Architecture) -> Architecture:
    """Return the network with MnasNet's squeeze-excite: a quarter of the block's input, logistic sigmoid."""
    blocks = tuple(
        _squeezed(placed.block, hard=False, block_in=placed.in_channels) for placed in network.placed_blocks()
    )
    return replace(network, blocks=blocks)


def without_squeeze(network: Architecture) -> Architecture:
    """Return the network without squeeze-excite."""
    blocks = tuple(
        block.with_fields(squeeze=0) if isinstance(block, InvertedResidual) else block for block in network.blocks
    )
    return replace(network, blocks=blocks)


def _squeezed(block: Block, *, hard: bool, block_in: int) -> Block:
    if not isinstance(block, InvertedResidual) or not block.squeeze:
        return block
    gate = Gate.HARD if hard else Gate.LOGISTIC
    return block.with_fields(squeeze=squeeze_channels(gate, block_in, block.hidden), gate=gate)


def redesigned(network: Architecture) -> Architecture:
    """Return a network with all that the paper changed by hand after search and NetAdapt."""
    small = with_stem(with_cheap_last_stage(network), STEM_FILTERS, Activation.HSWISH)
    return with_squeeze_of_expansion(hswish_from(HSWISH_WIDTH, small))
