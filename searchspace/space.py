"""Search spaces: genotypes in, architectures out, and back.

A space is a file of stages and choices (`searchspace.space_file`). One walker here turns it into a flat tuple of
choices, decodes a genotype into an `Architecture`, finds the genotype of an architecture, and lists the slots that a
latency table is compiled over. What a choice means to a block is known to `searchspace.layers` alone; what can be
done with genotypes without knowing their meaning is in `searchspace.choices`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchspace.architecture import Architecture, Block, PlacedBlock, block_ops, head_ops, stem_ops
from searchspace.choices import Choice, ChoiceSet, Condition, Genotypes
from searchspace.errors import UserError
from searchspace.layers import Place, build_layer
from searchspace.ops import Op
from searchspace.widths import make_divisible
from searchspace.space_file import Option, SpaceSpec, Stage, load_spec

_SHIPPED = Path(__file__).parent / "data" / "spaces"

Reader = Callable[[int], int]  # choice index -> value index


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a layer's field gets its value: from a choice, or (None) the only one there is."""

    field: str
    values: tuple[Any, ...]
    choice: int | None

    def read(self, genotype: Reader) -> Any:
        return self.values[0 if self.choice is None else genotype(self.choice)]


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

    def __init__(self, spec: SpaceSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self._listed: list[Choice] = []
        self._at: dict[str, int] = {}
        self._list("resolution", spec.resolutions)
        self._layers = tuple(self._walk(stage) for stage in spec.stages)
        super().__init__(self._listed)
        strides = [spec.stem.stride]
        for stage in spec.stages:
            strides.append(strides[-1] * stage.stride * int(np.prod([block.stride for block in stage.fixed] or [1])))
        self._strides = tuple(strides)  # from the image to the input of each stage, then of the head

    # Walking the file

    def _list(self, path: str, values: tuple[Any, ...], when: tuple[Condition, ...] = ()) -> None:
        if len(values) > 1:
            self._at[path] = len(self._listed)
            self._listed.append(Choice(path, values, when))

    def _walk(self, stage: Stage) -> tuple[tuple[tuple[Binding, ...], ...], ...]:
        """List a stage's choices; return the bindings of each layer under each option, [layer][option]."""
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
        return tuple(tuple(self._bind(stage, option, layer) for option in stage.options) for layer in layers)

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

    def _read(self, path: str, values: tuple[Any, ...], genotype: Reader) -> Any:
        return values[genotype(self._at[path])] if path in self._at else values[0]

    def _option(self, stage: Stage, genotype: Reader) -> int:
        at = self._at.get(f"{stage.name}/block")
        return 0 if at is None else genotype(at)

    def _depth(self, stage: Stage, genotype: Reader) -> int:
        depth: int = self._read(f"{stage.name}/depth", stage.depths, genotype)
        return depth

    def _out_channels(self, number: int, genotype: Reader) -> int:
        """Channels that leave stage `number`; those of the stem for -1."""
        if number < 0:
            return self.spec.stem.out
        stage = self.spec.stages[number]
        if stage.fixed:
            return stage.fixed[-1].out
        bindings = self._layers[number][0][self._option(stage, genotype)]
        return width_of({b.field: b.read(genotype) for b in bindings if b.field in ("width", "multiplier")})

    def _layer_block(self, number: int, layer: int, genotype: Reader) -> Block | None:
        """The block of a layer, None where the layer is absent or skipped."""
        stage = self.spec.stages[number]
        if layer >= stage.depths[0] and layer >= self._depth(stage, genotype):
            return None
        option = self._option(stage, genotype)
        out = self._out_channels(number, genotype)
        place = Place(
            in_channels=out if layer else self._out_channels(number - 1, genotype),
            out_channels=out,
            stride=1 if layer else stage.stride,
        )
        bindings = self._layers[number][layer][option]
        return make_layer(stage.options[option].kind, tuple((b.field, b.read(genotype)) for b in bindings), place)

    def _stage_blocks(self, number: int, genotype: Reader) -> Iterator[Block]:
        stage = self.spec.stages[number]
        if stage.fixed:
            yield from stage.fixed
            return
        for layer in range(self._depth(stage, genotype)):
            block = self._layer_block(number, layer, genotype)
            if block is not None:
                yield block

    def decode(self, genotype: NDArray[Any] | Sequence[int]) -> Architecture:
        """Return the architecture of one genotype, shape (choices,).

        Raises UserError where the shape or a value index does not fit the space.
        """
        values = self.check(genotype)[0].tolist()
        read: Reader = values.__getitem__
        stages = range(len(self.spec.stages))
        return Architecture(
            resolution=self._read("resolution", self.spec.resolutions, read),
            stem=self.spec.stem,
            blocks=tuple(block for number in stages for block in self._stage_blocks(number, read)),
            head=self.spec.head,
            classes=self.spec.classes,
        )

    # Slots, for tables compiled over the space

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The stem, every layer of every stage and the head, in running order."""
        resolution = (self._at["resolution"],) if "resolution" in self._at else ()
        slots = [Slot("stem", -1, 0, resolution)]
        for number, stage in enumerate(self.spec.stages):
            for layer in range(len(stage.fixed) or stage.depths[-1]):
                depends = {*resolution, *self._width_choices(number - 1 if layer == 0 else number)}
                if not stage.fixed:
                    depends |= self._layer_choices(number, layer)
                slots.append(Slot(f"{stage.name}/layer{layer}", number, layer, tuple(sorted(depends))))
        last = len(self.spec.stages)
        slots.append(Slot("head", last, 0, tuple(sorted({*resolution, *self._width_choices(last - 1)}))))
        return tuple(slots)

    def _width_choices(self, number: int) -> set[int]:
        """The choices that decide how many channels leave a stage."""
        if number < 0 or self.spec.stages[number].fixed:
            return set()
        stage = self.spec.stages[number]
        bindings = [[b for b in option if b.field in ("width", "multiplier")] for option in self._layers[number][0]]
        found = {b.choice for option in bindings for b in option if b.choice is not None}
        if len({tuple(b.values for b in option) for option in bindings}) > 1:
            found.add(self._at[f"{stage.name}/block"])
        return found

    def _layer_choices(self, number: int, layer: int) -> set[int]:
        stage = self.spec.stages[number]
        found = {b.choice for option in self._layers[number][layer] for b in option if b.choice is not None}
        found |= {self._at[path] for path in (f"{stage.name}/block",) if path in self._at}
        if layer >= stage.depths[0]:
            found.add(self._at[f"{stage.name}/depth"])
        return found | self._width_choices(number)

    def slot_ops(self, slot: Slot, values: Sequence[int]) -> tuple[Op, ...]:
        """Return the operations of a slot when the choices of `slot.depends` have these value indices.

        Empty where the layer is absent; equal to what `decode(genotype).ops()` lists for that layer.
        """
        read: Reader = dict(zip(slot.depends, values, strict=True)).__getitem__
        resolution = self._read("resolution", self.spec.resolutions, read)
        if slot.stage < 0:
            return stem_ops(self.spec.stem, resolution)
        size = -(-resolution // self._strides[slot.stage])
        channels = self._out_channels(slot.stage if slot.layer else slot.stage - 1, read)
        if slot.stage == len(self.spec.stages):
            return head_ops(self.spec.head, size, channels, self.spec.classes)
        stage = self.spec.stages[slot.stage]
        if stage.fixed:
            for before in stage.fixed[: slot.layer]:
                size, channels = PlacedBlock(before, size, channels).out_size, before.out
            return block_ops(PlacedBlock(stage.fixed[slot.layer], size, channels))
        made = self._layer_block(slot.stage, slot.layer, read)
        if made is None:
            return ()
        if slot.layer:
            size = -(-size // stage.stride)
        return _cached_ops(PlacedBlock(made, size, channels))

    def slot_table(self, slot: Slot) -> Iterator[tuple[Op, ...]]:
        """Yield the operations of a slot for all values of `slot.depends`, the last one varying fastest."""
        for values in product(*(range(int(self.radices[i])) for i in slot.depends)):
            yield self.slot_ops(slot, values)

    # What `searchspace.space_match` reads

    def bindings(self, number: int, layer: int) -> tuple[tuple[Binding, ...], ...]:
        """Where the fields of a layer get their values, one tuple for each option of the stage."""
        return self._layers[number][layer]

    def path_index(self, path: str) -> int | None:
        """Index of the choice with this path; None where the space leaves no choice there."""
        return self._at.get(path)

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


def width_of(values: Mapping[str, Any]) -> int:
    width: int = values["width"]
    return width if values["multiplier"] == 1 else make_divisible(width * values["multiplier"])


@lru_cache(maxsize=1 << 16)
def make_layer(kind: str, fields: tuple[tuple[str, Any], ...], place: Place) -> Block | None:
    return build_layer(kind, dict(fields), place)


@lru_cache(maxsize=1 << 16)
def _cached_ops(placed: PlacedBlock) -> tuple[Op, ...]:
    return block_ops(placed)


def space_names() -> tuple[str, ...]:
    """Names of the spaces that ship with the package."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.yaml")))


def load_space(name_or_path: str | Path) -> SearchSpace:
    """Load a shipped space by name, or a space file by path.

    Raises UserError for an unknown name (the known ones are listed) or a faulty file.
    """
    text = str(name_or_path)
    if text in space_names():
        return SearchSpace(load_spec(_SHIPPED / f"{text}.yaml"))
    if not text.endswith((".yaml", ".yml")):
        raise UserError(f"unknown search space {text!r}, expected one of {', '.join(space_names())} or a .yaml file")
    return SearchSpace(load_spec(name_or_path))
