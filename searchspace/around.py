"""A space around one network: every block's kernel and expansion, every stage's width and depth, the network included.

`around:NETWORK` names it wherever a space is asked for, `around:NETWORK@96` the same at another resolution. Widths and
expansions only shrink (a pretrained network has nothing to put into more channels), kernels also grow by one ring.
Blocks that no options of a space file can say stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import product
from typing import Any, NamedTuple

from searchspace.architecture import Architecture, Block, Depthwise, PlacedBlock
from searchspace.blocks import Padding, Width
from searchspace.layer_options import KINDS, Place, build_layer
from searchspace.resolve import resolve_network
from searchspace.space import AROUND
from searchspace.space_file import Fields, Option, SpaceSpec, Stage
from searchspace.support.errors import UserError
from searchspace.widths import make_divisible

WIDTHS = (Fraction(1, 2), Fraction(5, 8), Fraction(3, 4), Fraction(7, 8))  # of a stage, beside its own
EXPANSIONS = (Fraction(1, 3), Fraction(1, 2), Fraction(2, 3))  # of a block, beside its own
LARGEST_KERNEL = 7


class _Layer(NamedTuple):
    """A block of the network with the options that say it, None where none do."""

    placed: PlacedBlock
    options: dict[str, Any] | None


def around_spec(text: str) -> SpaceSpec:
    """Return the space that `around:NETWORK` or `around:NETWORK@RESOLUTION` names; raises UserError."""
    return space_around(network_around(text), text)


def network_around(text: str) -> Architecture:
    """Return the network that a space is named after; raises UserError where it is none."""
    network, at, size = text.removeprefix(AROUND).rpartition("@")
    if not at or not size.isdigit():
        network, size = text.removeprefix(AROUND), ""
    if not network:
        raise UserError(f"{text!r} names no network: around:mobilenet_v2, around:runs/NAME, around:FILE.yaml")
    architecture = resolve_network(network)
    return architecture.with_resolution(int(size)) if size else architecture


def space_around(architecture: Architecture, name: str) -> SpaceSpec:
    """Return a space whose networks are smaller forms of `architecture`, which is one of them.

    Raises UserError for a network padded on both sides, as torch trains them: a space has TensorFlow's padding.
    """
    if architecture.padding is not Padding.SAME:
        raise UserError(f"{name}: the network is padded on both sides, as torch does; no space has that padding")
    runs = tuple(_runs([_Layer(placed, _options_of(placed)) for placed in architecture.placed_blocks()]))
    stages = []
    for number, run in enumerate(runs):
        name_of = f"stage{number + 1}"
        if run[0].options is None:
            stages.append(Stage(name=name_of, fixed=tuple(layer.placed.block for layer in run)))
        else:
            following = runs[number + 1] if number + 1 < len(runs) else None
            stages.append(_stage(name_of, run, narrows=not (_tied(run) or (following and _tied(following)))))
    names = {field for stage in stages for option in stage.options for field in option.fields}
    kernels = {field for layer in _all(runs) for field in layer.placed.block.family.kernels}
    return SpaceSpec(
        name=name,
        about="Smaller forms of one network, which is itself among them.",
        resolutions=(architecture.resolution,),
        classes=architecture.classes,
        stem=architecture.stem,
        head=architecture.head,
        per_layer=frozenset(names & (kernels | {"ratio"})),
        stages=tuple(stages),
    )


def _all(runs: Sequence[Sequence[_Layer]]) -> Iterator[_Layer]:
    return (layer for run in runs for layer in run)


def _runs(layers: Sequence[_Layer]) -> Iterator[tuple[_Layer, ...]]:
    """Split the blocks into stages: layers of one width that differ only in what is chosen layer by layer."""
    run: list[_Layer] = []
    for layer in layers:
        if run and not _continues(run, layer):
            yield tuple(run)
            run = []
        run.append(layer)
    yield tuple(run)


def _continues(run: Sequence[_Layer], layer: _Layer) -> bool:
    first, block = run[0], layer.placed.block
    if (first.options is None) != (layer.options is None):
        return False
    if layer.options is None:
        return True
    before = first.placed.block
    same = (block.family.kind, block.out, block.stride) == (before.family.kind, before.out, 1)
    return same and (len(run) == 1 or _settled(run[1]) == _settled(layer))


def _settled(layer: _Layer) -> dict[str, Any]:
    """The options of a layer that a stage has in common: all but kernels and ratio."""
    chosen = {*layer.placed.block.family.kernels, "ratio"}
    return {name: value for name, value in (layer.options or {}).items() if name not in chosen}


def _tied(run: Sequence[_Layer]) -> bool:
    """Whether the width of what comes before a stage cannot change: a shortcut ties it, or the blocks are fixed."""
    return run[0].options is None or run[0].placed.shortcut_channels > 0


def _stage(name: str, run: Sequence[_Layer], narrows: bool) -> Stage:
    block = run[0].placed.block
    widths = sorted({make_divisible(block.out * part) for part in WIDTHS}) if narrows else []
    later = _fields(run[1:] or run)
    first = {field: values for field, values in _fields(run[:1]).items() if values != later[field]}
    width: Fields = {"width": tuple(dict.fromkeys((*(w for w in widths if w < block.out), block.out)))}
    option = Option(
        name=block.family.kind,
        kind=block.family.kind,
        fields={**width, "multiplier": (1,), **later},
        first=first,
    )
    return Stage(name=name, stride=block.stride, depths=tuple(range(1, len(run) + 1)), options=(option,))


def _fields(run: Sequence[_Layer]) -> Fields:
    """The values of every field over some layers of a stage, those of the network among them."""
    fields: Fields = {}
    for layer in run:
        kernels = layer.placed.block.family.kernels
        for name, value in (layer.options or {}).items():
            if name in kernels:
                near: tuple[Any, ...] = _kernels(value)
            elif name == "ratio":
                near = _ratios(layer.placed, value)
            else:
                near = (value,)
            fields[name] = (*fields.get(name, ()), *near)
    return {name: _distinct(values) for name, values in fields.items()}


def _distinct(values: Sequence[Any]) -> tuple[Any, ...]:
    found = dict.fromkeys(values)
    return tuple(sorted(found)) if all(isinstance(value, int | float) for value in found) else tuple(found)


def _kernels(kernel: int) -> tuple[int, ...]:
    if kernel <= 1:  # pointwise, or none
        return (kernel,)
    return tuple(k for k in (kernel - 2, kernel, kernel + 2) if k >= 3 and (k <= LARGEST_KERNEL or k == kernel))


def _ratios(placed: PlacedBlock, ratio: float) -> tuple[float, ...]:
    if ratio == 1:
        return (1,)
    if placed.block.family.kind == "sandglass":  # a reduction, in whole numbers
        return tuple(dict.fromkeys((ratio, *(round(ratio / part) for part in EXPANSIONS[1:]))))
    smaller = (_number(Fraction(str(ratio)) * part) for part in EXPANSIONS)
    return (*(value for value in smaller if value > 1), ratio)


def _number(value: Fraction) -> float:
    """A ratio as a space file writes it: whole numbers as such."""
    return int(value) if value.denominator == 1 else round(float(value), 4)


def _options_of(placed: PlacedBlock) -> dict[str, Any] | None:
    """Return the options of a space file that stand for a block where it is, None where there are none."""
    block = placed.block
    known = KINDS.get(block.family.kind)
    if known is None:
        return None
    candidates = {name: _candidates(placed, name) for name in known.fields}
    place = Place(placed.in_channels, block.out, block.stride)
    for values in product(*candidates.values()):
        options = dict(zip(candidates, values, strict=True))
        try:
            if build_layer(block.family.kind, options, place) == block:
                return options
        except (UserError, ValueError):
            continue
    return None


def _candidates(placed: PlacedBlock, name: str) -> list[Any]:
    block = placed.block
    match name:
        case "activation":
            return [block.activation.value]
        case "squeeze":
            return [getattr(block, "gate").value if getattr(block, "squeeze") else "none"]  # noqa: B009
        case "identity":
            if block.stride != 1:
                return [1]
            share = block.shortcut_share if block.out == placed.in_channels else Fraction(0)
            # Where a narrower input would first make a shortcut possible, none is to appear.
            return [_number(share) if share.denominator == 1 else str(share)]
        case "basis":
            return ["input", "ends"]
        case "depthwise":
            return ["auto", *(depthwise.value for depthwise in Depthwise)]
        case "ratio":
            return _ratio_candidates(placed, block)
        case _:
            return [getattr(block, name)]


def _ratio_candidates(placed: PlacedBlock, block: Block) -> list[Any]:
    hidden = placed.width(Width.HIDDEN)
    if block.family.kind == "sandglass":
        return sorted({max(1, round(wide / hidden)) for wide in (placed.in_channels, block.out)})
    if hidden == placed.in_channels and not getattr(block, "expand", False):
        return [1]
    return [_number(Fraction(hidden, placed.in_channels))]
