"""Search spaces: genotypes in, architectures out, and back.

A space is a file of stages and choices (`searchspace.space_file`). One walker here turns it into a flat tuple of
choices, decodes a genotype into an `Architecture`, finds the genotype of an architecture, and lists the slots that a
latency table is compiled over. What a choice means to a block is known to `searchspace.layers` alone; what can be
done with genotypes without knowing their meaning is in `searchspace.choices`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchspace.architecture import Architecture, Block, PlacedBlock, block_ops, head_ops, stem_ops
from searchspace.choices import Choice, ChoiceSet, Condition, Genotypes
from searchspace.heads import TaskHead
from searchspace.heads.slots import HeadSlot, classifier_ops, head_slot_ops, head_slots
from searchspace.layers import Place
from searchspace.ops import Op
from searchspace.space_file import Option, SpaceSpec, Stage, load_spec
from searchspace.stage_plan import Binding, Reader, StagePlan, make_layer, width_bindings
from searchspace.support.errors import UserError
from searchspace.support.files import read_text

AROUND = "around:"  # what follows names a network (`searchspace.around`)
_SHIPPED = Path(__file__).parent / "data" / "spaces"


@dataclass(frozen=True, slots=True)
class Slot:
    """A place of the network whose operations depend on few choices: the stem, one layer of a stage, or the head.

    `depends` are the indices, rising, of all choices that decide the slot's operations, their shapes included.
    """

    name: str
    stage: int  # -1 for the stem, the number of stages for the head
    layer: int
    depends: tuple[int, ...]


class SearchSpace(ChoiceSet):
    """A family of architectures, as choices. Genotypes are uint8 value indices; inactive choices are 0.

    Made by `load_space`. Raises UserError where the file contradicts itself.
    """

    def __init__(self, spec: SpaceSpec, task_head: TaskHead | None = None) -> None:
        self.spec = spec
        self.task_head = task_head
        self.name = spec.name
        self._listed: list[Choice] = []
        self._at: dict[str, int] = {}
        self._list("resolution", spec.resolutions)
        self.plans = tuple(self._walk(stage) for stage in spec.stages)
        super().__init__(self._listed)
        strides = [spec.stem.stride]
        for stage in spec.stages:
            strides.append(strides[-1] * stage.stride * int(np.prod([block.stride for block in stage.fixed] or [1])))
        self._strides = tuple(strides)  # from the image to the input of each stage, then of the head
        self.total_stride = strides[-1]

    def with_classes(self, classes: int) -> SearchSpace:
        """Return the same space for another number of classes; genotypes keep their meaning."""
        return (
            self if classes == self.spec.classes else SearchSpace(replace(self.spec, classes=classes), self.task_head)
        )

    def with_head(self, head: TaskHead | None) -> SearchSpace:
        """Return the same space with a head in the classifier's place: it is part of the slots, and so of the costs.

        Genotypes and the architectures they stand for stay the same. Raises UserError where the head cannot be put on
        every network.
        """
        space = SearchSpace(self.spec, head)
        _ = space.slots
        return space

    # Walking the file

    def _list(self, path: str, values: tuple[Any, ...], when: tuple[Condition, ...] = ()) -> None:
        if len(values) > 1:
            self._at[path] = len(self._listed)
            self._listed.append(Choice(path, values, when))

    def _walk(self, stage: Stage) -> StagePlan:
        """List a stage's choices."""
        self._list(f"{stage.name}/block", tuple(option.name for option in stage.options))
        self._list(f"{stage.name}/depth", stage.depths)
        names = dict.fromkeys(name for option in stage.options for name in option.fields)
        for name in names:
            if name not in self.spec.per_layer:
                self._list_field(stage, name, None)
        layers = range(stage.depths[-1]) if stage.options else ()
        for layer in layers:
            for name in names:
                if name in self.spec.per_layer or (layer == 0 and any(name in o.first for o in stage.options)):
                    self._list_field(stage, name, layer)
        bindings = tuple(tuple(self._bind(stage, option, k) for option in stage.options) for k in layers)
        return StagePlan(
            stage=stage,
            block_at=self._at.get(f"{stage.name}/block"),
            depth_at=self._at.get(f"{stage.name}/depth"),
            layers=bindings,
            widths=width_bindings(bindings[0]) if bindings else (),
        )

    def _list_field(self, stage: Stage, name: str, layer: int | None) -> None:
        """List the choice of one field, for the options that leave it open and the depths that have the layer."""
        open_options = {o.name: self._field_values(o, name, layer) for o in stage.options}
        open_options = {key: values for key, values in open_options.items() if len(values) > 1}
        if not open_options:
            return
        if len(set(open_options.values())) > 1:
            raise UserError(f"{self.name}: the options of {stage.name} list different values for {name}")
        when = []
        if len(open_options) < len(stage.options):
            when.append(Condition(f"{stage.name}/block", frozenset(open_options)))
        # A field that layer 0 overrides exists only in stages deep enough to have another layer.
        overridden = layer is None and all(name in o.first for o in stage.options if o.name in open_options)
        at_least = 2 if overridden else (layer or 0) + 1
        deep = frozenset(depth for depth in stage.depths if depth >= at_least)
        if deep != frozenset(stage.depths):
            when.append(Condition(f"{stage.name}/depth", deep))
        path = f"{stage.name}/{name}" if layer is None else f"{stage.name}/layer{layer}/{name}"
        self._list(path, next(iter(open_options.values())), tuple(when))

    def _field_values(self, option: Option, name: str, layer: int | None) -> tuple[Any, ...]:
        if layer == 0 and name in option.first:
            return option.first[name]
        if layer is not None and name not in self.spec.per_layer:
            return ()
        return option.fields.get(name, ())

    def _bind(self, stage: Stage, option: Option, layer: int) -> tuple[Binding, ...]:
        bindings = []
        for name, values in option.fields.items():
            own = self._field_values(option, name, layer)
            path = f"{stage.name}/layer{layer}/{name}" if own else f"{stage.name}/{name}"
            values = own or values
            bindings.append(Binding(name, values, self._at[path] if len(values) > 1 else None))
        return tuple(bindings)

    # Reading a genotype

    def resolution(self, genotype: Reader) -> int:
        """The input resolution chosen, in pixels."""
        at = self._at.get("resolution")
        return self.spec.resolutions[0 if at is None else genotype(at)]

    def channels(self, number: int, genotype: Reader) -> int:
        """Channels that leave stage `number`; those of the stem for -1."""
        return self.plans[number].out_channels(genotype) if number >= 0 else self.spec.stem.out

    def layer_block(self, number: int, layer: int, genotype: Reader) -> Block | None:
        """The block of a layer of a stage, None where the layer is absent or skipped."""
        plan = self.plans[number]
        if plan.stage.fixed:
            return plan.stage.fixed[layer]
        if layer >= plan.stage.depths[0] and layer >= plan.depth(genotype):
            return None
        option = plan.option(genotype)
        out = plan.out_channels(genotype)
        place = Place(
            in_channels=out if layer else self.channels(number - 1, genotype),
            out_channels=out,
            stride=1 if layer else plan.stage.stride,
        )
        fields = tuple((b.field, b.read(genotype)) for b in plan.layers[layer][option])
        return make_layer(plan.stage.options[option].kind, fields, place)

    def decode(self, genotype: NDArray[Any] | Sequence[int]) -> Architecture:
        """Return the architecture of one genotype, shape (choices,).

        Raises UserError where the shape or a value index does not fit the space.
        """
        values = self.check(genotype)[0].tolist()
        read: Reader = values.__getitem__
        blocks = (
            self.layer_block(number, layer, read)
            for number, plan in enumerate(self.plans)
            for layer in range(len(plan.stage.fixed) or plan.depth(read))
        )
        return Architecture(
            resolution=self.resolution(read),
            stem=self.spec.stem,
            blocks=tuple(block for block in blocks if block is not None),
            head=self.spec.head,
            classes=self.spec.classes,
        )

    # Slots, for tables compiled over the space

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The stem, every layer of every stage and the head, in running order."""
        resolution = {self._at["resolution"]} if "resolution" in self._at else set()
        slots = [Slot("stem", -1, 0, tuple(resolution))]
        for number, plan in enumerate(self.plans):
            for layer in range(len(plan.stage.fixed) or plan.stage.depths[-1]):
                depends = resolution | self.layer_choices(number, layer)
                slots.append(Slot(f"{plan.stage.name}/layer{layer}", number, layer, tuple(sorted(depends))))
        last = len(self.plans)
        slots.append(Slot("head", last, 0, tuple(sorted(resolution | self.width_choices(last - 1)))))
        slots += (Slot(one.name, last, number, one.depends) for number, one in enumerate(self._head_slots, start=1))
        return tuple(slots)

    @cached_property
    def _head_slots(self) -> tuple[HeadSlot, ...]:
        return () if self.task_head is None else head_slots(self, self.task_head)

    def width_choices(self, number: int) -> set[int]:
        """The choices that decide how many channels leave a stage."""
        if number < 0 or self.plans[number].stage.fixed:
            return set()
        plan = self.plans[number]
        found = {b.choice for option in plan.widths for b in option}
        return (found | ({plan.block_at} if len(plan.widths) > 1 else set())) - {None}  # type: ignore[return-value]

    def layer_choices(self, number: int, layer: int) -> set[int]:
        """The choices that decide a layer's block and its input channels."""
        plan = self.plans[number]
        before = self.width_choices(number if layer else number - 1)
        if plan.stage.fixed:
            return before if layer == 0 else set()
        found = {b.choice for option in plan.layers[layer] for b in option} | {plan.block_at}
        if layer >= plan.stage.depths[0]:
            found.add(plan.depth_at)
        return before | {choice for choice in found if choice is not None}

    def slot_ops(self, slot: Slot, values: Sequence[int]) -> tuple[Op, ...]:
        """Return the operations of a slot when the choices of `slot.depends` have these value indices.

        Empty where the layer is absent; equal to what `decode(genotype).ops()` lists for that layer.
        """
        if slot.stage == len(self.plans) and slot.layer:
            assert self.task_head is not None
            return head_slot_ops(self, self.task_head, self._head_slots[slot.layer - 1], values)
        read: Reader = dict(zip(slot.depends, values, strict=True)).__getitem__
        resolution = self.resolution(read)
        if slot.stage < 0:
            return stem_ops(self.spec.stem, resolution)
        size = -(-resolution // self._strides[slot.stage])
        if slot.stage == len(self.plans):
            channels = self.channels(slot.stage - 1, read)
            if self.task_head is not None:
                return classifier_ops(self, size, channels)
            return head_ops(self.spec.head, size, channels, self.spec.classes)
        stage = self.plans[slot.stage].stage
        block = self.layer_block(slot.stage, slot.layer, read)
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
            channels = self.channels(slot.stage - 1, read)
        return _cached_ops(PlacedBlock(block, size, channels))

    def slot_table(self, slot: Slot) -> Iterator[tuple[Op, ...]]:
        """Yield the operations of a slot for all values of `slot.depends`, the last one varying fastest."""
        table = product(*(range(int(self.radices[i])) for i in slot.depends))
        depth_at = self.plans[slot.stage].depth_at if 0 <= slot.stage < len(self.plans) else None
        if depth_at not in slot.depends:
            yield from (self.slot_ops(slot, values) for values in table)
            return
        # A layer is the same at every depth that has it: most of the table is repetition.
        depths, axis = self.plans[slot.stage].stage.depths, slot.depends.index(depth_at)
        known: dict[tuple[int, ...], tuple[Op, ...]] = {}
        for values in table:
            if slot.layer >= depths[values[axis]]:
                yield ()
                continue
            others = values[:axis] + values[axis + 1 :]
            if others not in known:
                known[others] = self.slot_ops(slot, values)
            yield known[others]

    def check_values(self) -> None:
        """Decode once with every value of every choice; raises UserError naming the value that makes no network."""
        try:
            self.decode(np.zeros(len(self.choices), dtype=np.uint8))
        except (UserError, ValueError) as error:
            raise UserError(f"{self.name}: with the first value of every choice: {error}") from None
        for i, choice in enumerate(self.choices):
            for value in range(len(choice.values)):
                genotype = np.zeros(len(self.choices), dtype=np.uint8)
                self._activate(genotype, i)
                genotype[i] = value
                try:
                    self.decode(genotype)
                except (UserError, ValueError) as error:  # ValueError: a name that no enumeration knows
                    raise UserError(f"{self.name}: {choice.path} = {choice.values[value]!r}: {error}") from None

    def _activate(self, genotype: Genotypes, choice: int) -> None:
        """Set the choices that `choice` depends on so that it is active."""
        for condition in self.choices[choice].when:
            parent = self.index[condition.path]
            values = self.choices[parent].values
            genotype[parent] = next(k for k, value in enumerate(values) if value in condition.values)
            self._activate(genotype, parent)

    # From an architecture back to its genotype

    def encode(self, architecture: Architecture) -> Genotypes:
        """Return the canonical genotype of an architecture, shape (choices,); the number of classes is ignored.

        Raises UserError naming the place where the architecture leaves the space.
        """
        return self.locate(architecture)[0]

    def locate(self, architecture: Architecture) -> tuple[Genotypes, tuple[tuple[int, int], ...]]:
        """Return the genotype of an architecture and, for each of its blocks, (stage, layer) in the space.

        Raises UserError naming the place where the architecture leaves the space.
        """
        from searchspace.space_match import locate

        return locate(self, architecture)

    def __contains__(self, architecture: Architecture) -> bool:
        try:
            self.locate(architecture)
        except UserError:
            return False
        return True

    # For people

    def describe(self, genotype: NDArray[Any] | Sequence[int]) -> str:
        """Return the active choices of a genotype, one `path = value` a line."""
        row = self.check(genotype)
        active = self.active(row)[0]
        pairs = zip(self.choices, row[0], active, strict=True)
        return "\n".join(f"{choice.path} = {choice.values[value]}" for choice, value, used in pairs if used)

    def __str__(self) -> str:
        """Return the name, the exact size and every choice with its values."""
        lines = [f"{self.name}: {self.count():,} networks, {len(self.choices)} choices", self.spec.about]
        for choice in self.choices:
            when = " and ".join(f"{c.path} in {sorted(c.values, key=str)}" for c in choice.when)
            values = ", ".join(map(str, choice.values))
            lines.append(f"  {choice.path}: {values}" + (f"  (if {when})" if when else ""))
        return "\n".join(line for line in lines if line)


@lru_cache(maxsize=1 << 16)
def _cached_ops(placed: PlacedBlock) -> tuple[Op, ...]:
    return block_ops(placed)


def space_names() -> tuple[str, ...]:
    """Names of the spaces that ship with the package."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.yaml")))


def space_text(name_or_path: str | Path) -> str:
    """Return the file of a space as it stands, comments included; raises UserError as `load_space` does."""
    space = load_space(name_or_path)
    text = str(name_or_path)
    if text.startswith(AROUND):
        from searchspace.space_text import format_spec

        return format_spec(space.spec)
    return read_text(_SHIPPED / f"{text}.yaml" if text in space_names() else text, "search space file")


def load_space(name_or_path: str | Path) -> SearchSpace:
    """Load a shipped space by name, a space file by path, or the space around a network (`around:NETWORK`).

    Raises UserError for an unknown name (the known ones are listed) or a faulty file.
    """
    text = str(name_or_path)
    if text in space_names():
        return SearchSpace(load_spec(_SHIPPED / f"{text}.yaml"))
    if text.startswith(AROUND):
        from searchspace.around import around_spec

        space = SearchSpace(around_spec(text))
        space.check_values()
        return space
    if not text.endswith((".yaml", ".yml")):
        known = ", ".join(space_names())
        raise UserError(f"unknown search space {text!r}, expected one of {known}, around:NETWORK or a .yaml file")
    space = SearchSpace(load_spec(name_or_path))
    space.check_values()
    return space
