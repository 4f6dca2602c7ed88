"""What networks can exist: architectures, their text, reference networks and search spaces.

Importing this package is cheap; modules that need PyTorch (`searchspace.modules`, `searchspace.supernet`,
`searchspace.weights`) are imported by name where they are used.
"""

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
from searchspace.text import parse
from searchspace.yaml_io import load_architecture, save_architecture

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
    "Separable",
    "Stem",
    "UserError",
    "load_architecture",
    "parse",
    "reference",
    "reference_names",
    "resolve_network",
    "save_architecture",
]
