"""Block families, one file each; every module here whose name has no underscore in front declares one.

A family is a frozen dataclass below `Block`: its fields, its `family` (names, text, colour, options in space files) and
its `wiring`. Whatever else needs to know a block derives it from these; `block_families` lists all there are.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from searchspace.blocks._block import Block, Family, PlacedBlock
from searchspace.blocks._ops import activation_ops, block_ops, conv_ops
from searchspace.blocks._options import Place, Values
from searchspace.blocks._rounding import make_divisible, squeeze_channels
from searchspace.blocks._values import Activation, Gate, Padding
from searchspace.blocks._wiring import LayerKind, Width, WiredLayer, Wiring

__all__ = [
    "Activation",
    "Block",
    "Family",
    "Gate",
    "LayerKind",
    "Padding",
    "Place",
    "PlacedBlock",
    "Values",
    "Width",
    "WiredLayer",
    "Wiring",
    "activation_ops",
    "block_families",
    "block_ops",
    "conv_ops",
    "make_divisible",
    "squeeze_channels",
]


@cache
def block_families() -> tuple[type[Block], ...]:
    """Return the class of every family, in the order of their files' names."""
    names = sorted(found.name for found in iter_modules(__path__) if not found.name.startswith("_"))
    modules = (import_module(f"{__name__}.{name}") for name in names)
    return tuple(
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Block) and value.__module__ == module.__name__
    )
