"""The modules of cell networks, built from the chains that also give operations and parameters.

Padding is torch's, on both sides, as in the papers' code; batch norm has torch's usual epsilon and momentum there.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspace.cells.network import INPUTS, NODES, STEM_WIDTH, Cell, CellNetwork, PlacedCell
from searchspace.cells.primitives import PRIMITIVES, Kind, Piece, Primitive
from searchspace.modules.network import initialise


class FactorizedReduce(nn.Module):
    """ReLU, two 1x1 convolutions with stride 2, the second shifted by a pixel, joined, batch norm."""

    def __init__(self, inputs: int, outputs: int, affine: bool = True) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.second = nn.Conv2d(inputs, outputs - outputs // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, size, size) to (batch, out, size / 2, size / 2), rounded up."""
        x = F.relu(x)
        shifted = F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2))[:, :, 1:, 1:]
        joined: Tensor = self.norm(torch.cat([self.first(x), self.second(shifted)], dim=1))
        return joined


class Chain(nn.Module):
    """A primitive at a stride, with its inner shortcut where it has one."""

    def __init__(self, primitive: Primitive, channels: int, stride: int, affine: bool) -> None:
        super().__init__()
        layers, width = [], channels
        for piece in primitive.chain:
            layer, width = _layer(piece, width, channels, stride, affine)
            layers.append(layer)
        self.body = nn.Sequential(*layers)
        self.adds = primitive.shortcut and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, size, size) to the same, or half the size."""
        out: Tensor = self.body(x)
        return x + out if self.adds else out


def _layer(piece: Piece, width: int, channels: int, stride: int, affine: bool) -> tuple[nn.Module, int]:
    """Return the module of one layer and the width behind it."""
    out, step, kernel = piece.channels(channels), piece.strides(stride), piece.kernel_shape
    padding = piece.dilation * (kernel[0] // 2), piece.dilation * (kernel[1] // 2)
    match piece.kind:
        case Kind.RELU:
            return nn.ReLU(), width
        case Kind.RELU6:
            return nn.ReLU6(), width
        case Kind.DEPTHWISE:
            module = nn.Conv2d(width, width, kernel, step, padding, piece.dilation, groups=width, bias=False)
            return module, width
        case Kind.CONV:
            return nn.Conv2d(width, out, kernel, step, padding, piece.dilation, bias=False), out
        case Kind.POINTWISE:
            return nn.Conv2d(width, out, 1, bias=False), out
        case Kind.NORM:
            return nn.BatchNorm2d(width, affine=affine), width
        case Kind.MAXPOOL:
            return nn.MaxPool2d(kernel, step, padding), width
        case Kind.AVGPOOL:
            return nn.AvgPool2d(kernel, step, padding, count_include_pad=False), width


def build_operation(name: str, channels: int, stride: int, *, affine: bool = True) -> nn.Module:
    """Return the module of an operation on an edge; a search has batch norms without scale and shift (`affine`)."""
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)
    return Chain(PRIMITIVES[name], channels, stride, affine)


class ReluConv(nn.Sequential):
    """ReLU, 1x1 convolution, batch norm."""

    def __init__(self, inputs: int, outputs: int, affine: bool = True) -> None:
        super().__init__(nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs, affine=affine))


def build_input(placed: PlacedCell, affine: bool = True) -> tuple[nn.Module, nn.Module]:
    """Return the two modules that bring a cell's inputs to its channels and size."""
    halved = placed.before_size != placed.size
    first = FactorizedReduce if halved else ReluConv
    older, newer = placed.before
    return first(older, placed.channels, affine), ReluConv(newer, placed.channels, affine)


class CellModule(nn.Module):
    """A cell with its operations chosen."""

    def __init__(self, placed: PlacedCell, cell: Cell) -> None:
        super().__init__()
        self.older, self.newer = build_input(placed)
        self.sources = tuple(edge.source for edge in cell.edges)
        strides = [2 if placed.reduces and edge.source < INPUTS else 1 for edge in cell.edges]
        self.operations = nn.ModuleList(
            build_operation(edge.operation, placed.channels, stride)
            for edge, stride in zip(cell.edges, strides, strict=True)
        )

    def forward(self, older: Tensor, newer: Tensor, drop_path: float = 0.0) -> Tensor:
        """Map the outputs of the two cells before to (batch, 4 x channels, size, size)."""
        states = [self.older(older), self.newer(newer)]
        for node in range(NODES):
            states.append(
                sum(self._edge(number, states[self.sources[number]], drop_path) for number in (2 * node, 2 * node + 1))
            )
        return torch.cat(states[INPUTS:], dim=1)

    def _edge(self, number: int, state: Tensor, drop_path: float) -> Tensor:
        operation = self.operations[number]
        out: Tensor = operation(state)
        if self.training and drop_path > 0 and not isinstance(operation, nn.Identity):
            keep = 1.0 - drop_path
            out = out / keep * torch.empty(len(out), 1, 1, 1, device=out.device).bernoulli_(keep)
        return out


class CellClassifier(nn.Module):
    """A whole cell network; in training it also answers from an auxiliary classifier where it was built with one.

    `drop_path` is the chance that an edge's output is left out for an image (Larsson et al., arXiv 1605.07648);
    whoever trains the network sets it as the training goes on.
    """

    def __init__(self, network: CellNetwork, auxiliary: bool = False) -> None:
        super().__init__()
        self.architecture = network
        self.drop_path = 0.0
        wide = STEM_WIDTH * network.channels
        self.stem = nn.Sequential(nn.Conv2d(3, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide))
        places = tuple(network.placed_cells())
        self.cells = nn.ModuleList(
            CellModule(placed, network.reduction if placed.reduces else network.normal) for placed in places
        )
        self.classifier = nn.Linear(NODES * places[-1].channels, network.classes)
        self.auxiliary_behind = 2 * network.cells // 3 if auxiliary else -1
        self.auxiliary = (
            Auxiliary(NODES * places[self.auxiliary_behind].channels, network.classes) if auxiliary else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map images (batch, 3, size, size) to logits (batch, classes)."""
        return self.answers(x)[0]

    def answers(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the logits and, in training and where there is an auxiliary classifier, its logits."""
        older = newer = self.stem(x)
        auxiliary = None
        for number, cell in enumerate(self.cells):
            older, newer = newer, cell(older, newer, self.drop_path)
            if self.auxiliary is not None and self.training and number == self.auxiliary_behind:
                auxiliary = self.auxiliary(newer)
        return self.classifier(newer.mean((2, 3))), auxiliary


class Auxiliary(nn.Module):
    """The classifier behind the second reduction that helps training (`model.py` of DARTS), on maps of any size."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, size, size) to logits (batch, classes)."""
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits


def build_cells(network: CellNetwork, *, seed: int, auxiliary: bool = False) -> CellClassifier:
    """Return the network with fresh weights drawn from `seed`; the global random state is left alone."""
    with torch.device("meta"):
        module = CellClassifier(network, auxiliary)
    module.to_empty(device="cpu")
    initialise(module, torch.Generator().manual_seed(seed))
    return module
