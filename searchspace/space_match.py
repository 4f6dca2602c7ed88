"""Finding the genotype of an architecture: which choices of a space would have decoded to these blocks.

Stage by stage, each layer's possible blocks are looked up in a table made once per (stage, layer, input channels);
the values chosen once for a stage must agree over its layers. Where an architecture has several genotypes (a macro
space of optional layers) the layers present come first.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from searchspace.architecture import Architecture, Block
from searchspace.choices import Genotypes
from searchspace.errors import UserError
from searchspace.layers import Place
from searchspace.text import format_block

if TYPE_CHECKING:
    from searchspace.space import SearchSpace

Assignment = tuple[tuple[int, int], ...]  # (choice, value index), rising by choice
Found = tuple[dict[int, int], list[tuple[int, int]]]
