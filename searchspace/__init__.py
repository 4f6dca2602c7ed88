"""What networks can exist: architectures, their text, reference networks and search spaces.

Importing this package is cheap: what needs PyTorch, and the spaces, are imported when they are first used.
"""

from typing import TYPE_CHECKING

from searchspace.architecture import (
    Activation,
    Architecture,
    Block,
    Conv,
    Depthwise,
    Gate,
    Head,
    InvertedResidual,
    Layer,
    Sandglass,
    Separable,
    Stem,
)
from searchspace.ops import Op, OpKind
from searchspace.reference import reference, reference_names
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError
from searchspace.support.lazy import imported_when_used
from searchspace.text import parse
from searchspace.yaml_io import load_architecture, save_architecture

if TYPE_CHECKING:
    from searchspace.modules import build_network
    from searchspace.space import SearchSpace, load_space, space_names
    from searchspace.supernet import Supernet

__getattr__ = imported_when_used(
    __name__,
    {
        "SearchSpace": "searchspace.space",
        "Supernet": "searchspace.supernet",
        "build_network": "searchspace.modules",
        "load_space": "searchspace.space",
        "space_names": "searchspace.space",
    },
)

__all__ = [
    "Activation",
    "Architecture",
    "Block",
    "Conv",
    "Depthwise",
    "Gate",
    "Head",
    "InvertedResidual",
    "Layer",
    "Op",
    "OpKind",
    "Sandglass",
    "SearchSpace",
    "Separable",
    "Stem",
    "Supernet",
    "UserError",
    "build_network",
    "load_architecture",
    "load_space",
    "parse",
    "reference",
    "reference_names",
    "resolve_network",
    "save_architecture",
    "space_names",
]
