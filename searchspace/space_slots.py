"""The slots of a staged space: places whose operations depend on few choices, for tables compiled over the space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from searchspace.architecture import PlacedBlock, block_ops, head_ops, stem_ops
from searchspace.heads.slots import classifier_ops, head_slot_ops
from searchspace.ops import Op
from searchspace.stage_plan import Reader

if TYPE_CHECKING:
    from searchspace.space import SearchSpace


@dataclass(frozen=True, slots=True)
class Slot:
    """A place of the network whose operations depend on few choices: the stem, one layer of a stage, or the head.

    `depends` are the indices, rising, of all choices that decide the slot's operations, their shapes included.
    """

    name: str
    stage: int  # -1 for the stem, the number of stages for the head
    layer: int
    depends: tuple[int, ...]


def slots_of(space: SearchSpace) -> tuple[Slot, ...]:
    """The stem, every layer of every stage and the head, in running order."""
    resolution = {space.index["resolution"]} if "resolution" in space.index else set()
    slots = [Slot("stem", -1, 0, tuple(resolution))]
    for number, plan in enumerate(space.plans):
        for layer in range(len(plan.stage.fixed) or plan.stage.depths[-1]):
            depends = resolution | layer_choices(space, number, layer)
            slots.append(Slot(f"{plan.stage.name}/layer{layer}", number, layer, tuple(sorted(depends))))
    last = len(space.plans)
    slots.append(Slot("head", last, 0, tuple(sorted(resolution | width_choices(space, last - 1)))))
    slots += (Slot(one.name, last, number, one.depends) for number, one in enumerate(space.head_slots, start=1))
    return tuple(slots)


def width_choices(space: SearchSpace, number: int) -> set[int]:
    """The choices that decide how many channels leave a stage."""
    if number < 0 or space.plans[number].stage.fixed:
        return set()
    plan = space.plans[number]
    found = {b.choice for option in plan.widths for b in option}
    return (found | ({plan.block_at} if len(plan.widths) > 1 else set())) - {None}  # type: ignore[return-value]


def layer_choices(space: SearchSpace, number: int, layer: int) -> set[int]:
    """The choices that decide a layer's block and its input channels."""
    plan = space.plans[number]
    before = width_choices(space, number if layer else number - 1)
    if plan.stage.fixed:
        return before if layer == 0 else set()
    found = {b.choice for option in plan.layers[layer] for b in option} | {plan.block_at}
    if layer >= plan.stage.depths[0]:
        found.add(plan.depth_at)
    return before | {choice for choice in found if choice is not None}


def slot_ops(space: SearchSpace, slot: Slot, values: Sequence[int]) -> tuple[Op, ...]:
    """Return the operations of a slot when the choices of `slot.depends` have these value indices.

    Empty where the layer is absent; equal to what `decode(genotype).ops()` lists for that layer.
    """
    if slot.stage == len(space.plans) and slot.layer:
        assert space.task_head is not None
        return head_slot_ops(space, space.task_head, space.head_slots[slot.layer - 1], values)
    read: Reader = dict(zip(slot.depends, values, strict=True)).__getitem__
    resolution = space.resolution(read)
    if slot.stage < 0:
        return stem_ops(space.spec.stem, resolution)
    size = -(-resolution // space.strides[slot.stage])
    if slot.stage == len(space.plans):
        channels = space.channels(slot.stage - 1, read)
        if space.task_head is not None:
            return classifier_ops(space, size, channels)
        return head_ops(space.spec.head, size, channels, space.spec.classes)
    stage = space.plans[slot.stage].stage
    block = space.layer_block(slot.stage, slot.layer, read)
    if block is None:
        return ()
    if stage.fixed:
        for before in stage.fixed[: slot.layer]:
            size = -(-size // before.stride)
    elif slot.layer:
        size = -(-size // stage.stride)
    if slot.layer:
        channels = stage.fixed[slot.layer - 1].out if stage.fixed else block.out
    else:
        channels = space.channels(slot.stage - 1, read)
    return _cached_ops(PlacedBlock(block, size, channels))


def slot_table(space: SearchSpace, slot: Slot) -> Iterator[tuple[Op, ...]]:
    """Yield the operations of a slot for all values of `slot.depends`, the last one varying fastest."""
    if not slot.depends:
        yield slot_ops(space, slot, ())
        return
    # Most of the table is repetition: a layer is the same at every depth that has it, and where a block is chosen the
    # fields of the others do not matter. The operations of every distinct cell are made once.
    lengths = tuple(int(space.radices[i]) for i in slot.depends)
    cells = np.indices(lengths).reshape(len(lengths), -1)
    place = {choice: axis for axis, choice in enumerate(slot.depends)}
    for axis, choice in enumerate(slot.depends):
        for condition in space.choices[choice].when:
            parent = space.index[condition.path]
            if parent in place:
                matters = np.array([value in condition.values for value in space.choices[parent].values])
                cells[axis] *= matters[cells[place[parent]]]
    depth_at = space.plans[slot.stage].depth_at if 0 <= slot.stage < len(space.plans) else None
    if depth_at in place:
        has_layer = np.array(space.plans[slot.stage].stage.depths) > slot.layer
        axis = place[depth_at]
        cells[axis] = np.where(has_layer[cells[axis]], lengths[axis] - 1, cells[axis])
    flat = np.ravel_multi_index(tuple(cells), lengths)
    distinct, which = np.unique(flat, return_inverse=True)
    rows = zip(*(column.tolist() for column in np.unravel_index(distinct, lengths)), strict=True)
    made = [slot_ops(space, slot, values) for values in rows]
    yield from (made[number] for number in which.tolist())


@lru_cache(maxsize=1 << 16)
def _cached_ops(placed: PlacedBlock) -> tuple[Op, ...]:
    return block_ops(placed)
