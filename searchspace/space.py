"""Search spaces: genotypes in, architectures out, and back.

A space is a file of stages and choices (`searchspace.space_file`). `searchspace.space_choices` lists what the file
leaves open as a flat tuple of choices. Here a genotype, one value index for each choice, becomes an `Architecture`;
`searchspace.space_match` finds the genotype of an architecture, `searchspace.space_slots` the places that a latency
table is compiled over. What a choice means to a block is known to `searchspace.layer_options` alone; what can be done
with genotypes without knowing their meaning is in `searchspace.choices`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchspace.architecture import Architecture, Block
from searchspace.choices import ChoiceSet, Genotypes
from searchspace.heads import TaskHead
from searchspace.heads.slots import HeadSlot, head_slots
from searchspace.layer_options import Place
from searchspace.ops import Op
from searchspace.protocols import Space
from searchspace.space_choices import ChoiceList
from searchspace.space_file import SpaceSpec, load_spec
from searchspace.space_slots import Slot, layer_choices, slot_ops, slot_table, slots_of, width_choices
from searchspace.stage_plan import Reader, make_layer
from searchspace.support.errors import UserError
from searchspace.support.files import read_text

AROUND = "around:"  # what follows names a network (`searchspace.around`)
_SHIPPED = Path(__file__).parent / "data" / "spaces"


class SearchSpace(ChoiceSet):
    """A family of architectures, as choices. Genotypes are uint8 value indices; inactive choices are 0.

    Made by `load_space`. Raises UserError where the file contradicts itself.
    """

    def __init__(self, spec: SpaceSpec, task_head: TaskHead | None = None) -> None:
        self.spec = spec
        self.task_head = task_head
        self.name = spec.name
        listed = ChoiceList(spec)
        self.plans = listed.plans
        super().__init__(listed.choices)
        strides = [spec.stem.stride]
        for stage in spec.stages:
            strides.append(strides[-1] * stage.stride * int(np.prod([block.stride for block in stage.fixed] or [1])))
        self.strides = tuple(strides)  # from the image to the input of each stage, then of the head
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

    # Reading a genotype

    def resolution(self, genotype: Reader) -> int:
        """The input resolution chosen, in pixels."""
        at = self.index.get("resolution")
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

    # Slots, for tables compiled over the space (`searchspace.space_slots`)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The stem, every layer of every stage and the head, in running order."""
        return slots_of(self)

    @cached_property
    def head_slots(self) -> tuple[HeadSlot, ...]:
        """The slots of the task's head, none where the classifier is all."""
        return () if self.task_head is None else head_slots(self, self.task_head)

    def width_choices(self, number: int) -> set[int]:
        """The choices that decide how many channels leave a stage."""
        return width_choices(self, number)

    def layer_choices(self, number: int, layer: int) -> set[int]:
        """The choices that decide a layer's block and its input channels."""
        return layer_choices(self, number, layer)

    def slot_ops(self, slot: Slot, values: Sequence[int]) -> tuple[Op, ...]:
        """Return the operations of a slot when the choices of `slot.depends` have these value indices.

        Empty where the layer is absent; equal to what `decode(genotype).ops()` lists for that layer.
        """
        return slot_ops(self, slot, values)

    def slot_table(self, slot: Slot) -> Iterator[tuple[Op, ...]]:
        """Yield the operations of a slot for all values of `slot.depends`, the last one varying fastest."""
        return slot_table(self, slot)

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


def staged(space: Space) -> SearchSpace:
    """Return a space as the staged chain it is; raises UserError for any other, a space of cells for instance."""
    if not isinstance(space, SearchSpace):
        raise UserError(f"{space.name} is no space of stages, which is what this works on")
    return space


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
