"""A head on the networks of a search space, as slots: places whose operations depend on few choices.

The layers of a head fall into groups by the feature maps they depend on; each group is one slot, and depends on the
choices that decide the widths of its maps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from searchspace.blocks import conv_ops
from searchspace.heads._graph import IMAGE, Graph, Shape, node_ops, shapes_of
from searchspace.heads._head import TaskHead
from searchspace.heads.network import HeadedNetwork
from searchspace.ops import Op
from searchspace.support.errors import UserError

if TYPE_CHECKING:
    from searchspace.space import SearchSpace


class HeadSlot(NamedTuple):
    """A group of a head's layers: what it is called, the feature maps and the choices it depends on."""

    name: str
    taps: frozenset[str]
    depends: tuple[int, ...]


def head_slots(space: SearchSpace, head: TaskHead) -> tuple[HeadSlot, ...]:
    """Return the slots of a head on the networks of a space.

    Raises UserError for a head that changes the backbone or leaves part of it out, and where a network of the space has
    no feature map that the head reads.
    """
    first = space.decode(np.zeros(len(space.choices), dtype=np.uint8))
    network = HeadedNetwork(first, head)
    whole = network.backbone == first and network.last_block == len(first.blocks)
    if not whole:
        raise UserError(f"a search cannot price the head {head.name}, which changes or cuts the network it is put on")
    choices = {f"stride{stride}": _tap_choices(space, head, stride) for stride in head.strides}
    found = []
    for group in dict.fromkeys(_groups(network.graph, choices)):
        depends = {"resolution"} & space.index.keys()
        known = {space.index[path] for path in depends}.union(*(choices[tap] for tap in group))
        found.append(HeadSlot(f"head/{'+'.join(sorted(group)) or 'rest'}", group, tuple(sorted(known))))
    return tuple(found)


def head_slot_ops(space: SearchSpace, head: TaskHead, slot: HeadSlot, values: Sequence[int]) -> tuple[Op, ...]:
    """Return the operations of a slot when the choices it depends on have these value indices."""
    genotype = np.zeros(len(space.choices), dtype=np.uint8)
    genotype[list(slot.depends)] = values
    network = space.decode(genotype)
    shapes = tuple((tap.name, Shape(tap.size, tap.channels)) for tap in head.taps(network))
    return _group_ops(head, shapes, network.resolution, slot.taps)


def classifier_ops(space: SearchSpace, size: int, in_channels: int) -> tuple[Op, ...]:
    """Return what stays of the classifier's head below another head: its 1x1 convolution where there is one."""
    head = space.spec.head
    return conv_ops(size, in_channels, head.conv, 1, 1, head.activation) if head.conv else ()


@lru_cache(maxsize=1 << 14)
def _group_ops(
    head: TaskHead, taps: tuple[tuple[str, Shape], ...], resolution: int, group: frozenset[str]
) -> tuple[Op, ...]:
    graph = head.graph(dict(taps))
    shapes = shapes_of(graph, dict(taps), resolution)
    members = zip(graph, _groups(graph, dict(taps)), strict=True)
    return tuple(op for node, of_node in members if of_node == group for op in node_ops(node, shapes))


def _groups(graph: Graph, taps: Iterable[str]) -> list[frozenset[str]]:
    """Return, for each node, the feature maps that its shapes depend on; a convolution's output has its own width."""
    known = {tap: frozenset({tap}) for tap in taps} | {IMAGE: frozenset[str]()}
    found = []
    for node in graph:
        group = frozenset[str]().union(*(known[name] for name in node.reads))
        known[node.name] = frozenset() if node.out else group
        found.append(group)
    return found


def _tap_choices(space: SearchSpace, head: TaskHead, stride: int) -> set[int]:
    """Return the choices that decide the width of the deepest feature map at a stride."""
    now, number_at = space.spec.stem.stride, -1
    for number, plan in enumerate(space.plans):
        strides = [block.stride for block in plan.stage.fixed] or [plan.stage.stride]
        for layer, step in enumerate(strides):
            if step > 1 and now == stride:
                inside = space.layer_choices(number, layer) if head.inside else set()
                return inside | space.width_choices(number_at)
            now *= step
        number_at = number
    if now != stride:
        raise UserError(f"the networks of {space.name} have no feature map at stride {stride}; their last is at {now}")
    return set() if space.spec.head.conv else space.width_choices(number_at)
