"""The cell search network: every edge computes all operations, mixed by architecture weights.

DARTS (Liu et al., arXiv 1806.09055, section 2.2) mixes by a softmax over operations. PC-DARTS (Xu et al., arXiv
1907.05737) lets 1 / `partial` of the channels through the mixed operation, shuffles them with the others, and weighs
the edges into a node by a softmax of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspace.cells.modules import build_input, build_operation
from searchspace.cells.network import INPUTS, NODES, STEM_WIDTH, Cell, CellNetwork, Edge, PlacedCell
from searchspace.cells.space import CellSpace
from searchspace.modules.network import initialise

NONE = "none"
EDGES = sum(INPUTS + node for node in range(NODES))
INITIAL_SCALE = 1e-3  # of the architecture weights' normal start


class ArchitectureWeights(NamedTuple):
    """Logits: `normal` and `reduction` (edges, operations), `normal_edges` and `reduction_edges` (edges,)."""

    normal: Tensor
    reduction: Tensor
    normal_edges: Tensor
    reduction_edges: Tensor


class MixedOperation(nn.Module):
    """All operations of an edge; "none" is the first weight and gives nothing."""

    def __init__(self, operations: Iterable[str], channels: int, stride: int, partial: int) -> None:
        super().__init__()
        self.partial, self.stride = partial, stride
        width = channels // partial
        self.operations = nn.ModuleList()
        for name in operations:
            module = build_operation(name, width, stride, affine=False)
            if "pool" in name:
                module = nn.Sequential(module, nn.BatchNorm2d(width, affine=False))
            self.operations.append(module)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the mixture of (batch, channels, size, size) by `weights` (1 + operations,)."""
        width = x.shape[1] // self.partial
        part = x[:, :width]
        mixed: Tensor = sum(w * op(part) for w, op in zip(weights[1:], self.operations, strict=True))
        if self.partial == 1:
            return mixed
        rest = x[:, width:] if self.stride == 1 else F.max_pool2d(x[:, width:], 2)
        return _shuffled(torch.cat([mixed, rest], dim=1), self.partial)


def _shuffled(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of so many groups."""
    shuffled: Tensor = x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)
    return shuffled


class MixedCell(nn.Module):
    """A cell with all edges between its states, each a mixed operation."""

    def __init__(self, placed: PlacedCell, operations: tuple[str, ...], partial: int) -> None:
        super().__init__()
        self.reduces = placed.reduces
        self.older, self.newer = build_input(placed, affine=False)
        self.edges = nn.ModuleList(
            MixedOperation(operations, placed.channels, 2 if placed.reduces and source < INPUTS else 1, partial)
            for node in range(NODES)
            for source in range(INPUTS + node)
        )

    def forward(self, older: Tensor, newer: Tensor, weights: Tensor, edge_weights: Tensor | None) -> Tensor:
        """Map the outputs of the two cells before to (batch, 4 x channels, size, size)."""
        states, edge = [self.older(older), self.newer(newer)], 0
        for _ in range(NODES):
            total: Tensor | None = None
            for state in states:
                out = self.edges[edge](state, weights[edge])
                out = out if edge_weights is None else edge_weights[edge] * out
                total, edge = out if total is None else total + out, edge + 1
            assert total is not None
            states.append(total)
        return torch.cat(states[INPUTS:], dim=1)


class CellSupernet(nn.Module):
    """The search network of a cell space; its layout may be smaller than that of the networks it finds.

    The architecture's logits are buffers, because the weights' optimizer must not touch them. `partial` above 1 is
    PC-DARTS, which has edge weights as well.
    """

    normal: Tensor
    reduction: Tensor
    normal_edges: Tensor
    reduction_edges: Tensor

    def __init__(self, space: CellSpace, *, cells: int = 8, channels: int = 16, partial: int = 1) -> None:
        super().__init__()
        self.space, self.partial = space, partial
        layout = CellNetwork(
            resolution=space.layout["resolution"],
            cells=cells,
            channels=channels,
            normal=_EVERY_NODE_READS_THE_INPUTS,
            reduction=_EVERY_NODE_READS_THE_INPUTS,
            classes=space.layout["classes"],
        )
        places = tuple(layout.placed_cells())
        wide = STEM_WIDTH * channels
        self.stem = nn.Sequential(nn.Conv2d(3, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide))
        self.cells = nn.ModuleList(MixedCell(placed, space.operations, partial) for placed in places)
        self.classifier = nn.Linear(NODES * places[-1].channels, layout.classes)
        for name in ("normal", "reduction"):
            self.register_buffer(name, torch.zeros(EDGES, 1 + len(space.operations)))
            self.register_buffer(f"{name}_edges", torch.zeros(EDGES))

    @property
    def architecture(self) -> ArchitectureWeights:
        """The logits as they stand."""
        return ArchitectureWeights(self.normal, self.reduction, self.normal_edges, self.reduction_edges)

    def forward(self, x: Tensor, architecture: ArchitectureWeights | None = None) -> Tensor:
        """Map images (batch, 3, size, size) to logits (batch, classes), under other architecture logits if given."""
        logits = architecture or self.architecture
        weights = {False: logits.normal.softmax(dim=1), True: logits.reduction.softmax(dim=1)}
        edges: dict[bool, Tensor | None] = {False: None, True: None}
        if self.partial > 1:
            edges = {False: _per_node(logits.normal_edges), True: _per_node(logits.reduction_edges)}
        older = newer = self.stem(x)
        for cell in self.cells:
            older, newer = newer, cell(older, newer, weights[bool(cell.reduces)], edges[bool(cell.reduces)])
        answer: Tensor = self.classifier(newer.mean((2, 3)))
        return answer

    @torch.no_grad()
    def discretised(self) -> CellNetwork:
        """Return the network that the logits stand for: the two strongest edges of a node, the strongest operation.

        An edge's strength is that of its strongest operation other than "none" (times the edge weight in PC-DARTS).
        """
        logits = self.architecture
        cells = [
            self._discretised(operations, edges)
            for operations, edges in ((logits.normal, logits.normal_edges), (logits.reduction, logits.reduction_edges))
        ]
        return self.space.network(*cells)

    def _discretised(self, logits: Tensor, edge_logits: Tensor) -> Cell:
        weights = logits.softmax(dim=1)[:, 1:]
        if self.partial > 1:
            weights = weights * _per_node(edge_logits)[:, None]
        strength, best = weights.max(dim=1)
        edges: list[Edge] = []
        start = 0
        for node in range(NODES):
            sources = INPUTS + node
            ranked = strength[start : start + sources].argsort(descending=True, stable=True)[:2]
            for source in sorted(ranked.tolist()):
                edges.append(Edge(self.space.operations[int(best[start + source])], source))
            start += sources
        return Cell(tuple(edges))


_EVERY_NODE_READS_THE_INPUTS = Cell(tuple(Edge("skip_connect", source) for _ in range(NODES) for source in range(2)))


def _per_node(edge_logits: Tensor) -> Tensor:
    """Return the edge weights: a softmax over the edges that enter each node."""
    sizes = [INPUTS + node for node in range(NODES)]
    return torch.cat([part.softmax(dim=0) for part in edge_logits.split(sizes)])


def build_cell_supernet(
    space: CellSpace, *, seed: int, cells: int = 8, channels: int = 16, partial: int = 1
) -> CellSupernet:
    """Return a search network with fresh weights and nearly uniform architecture logits, drawn from `seed`."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        supernet = CellSupernet(space, cells=cells, channels=channels, partial=partial)
    supernet.to_empty(device="cpu")
    initialise(supernet, generator)
    for logits in supernet.architecture:
        logits.normal_(generator=generator).mul_(INITIAL_SCALE)
    return supernet
