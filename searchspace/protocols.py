"""What the rest of the house needs of a network and of a space of networks, and nothing more.

Counting, pricing and pictures take a `NetworkValue`; strategies, compiled costs and journals take a `Space`. The staged
chain (`searchspace.space.SearchSpace` of `Architecture`) is the first implementation, the cells of DARTS
(`searchspace.cells.CellSpace` of `CellNetwork`) the second; `searchspace.testing.SpaceConformance` tests any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from searchspace.choices import Choice, Genotypes
from searchspace.ops import Op


class LayerValue(Protocol):
    """A named part of a network with its primitive operations in running order."""

    @property
    def name(self) -> str:
        """How people call it: `stem`, `block3`, `cell7`, `head`."""
        ...

    @property
    def ops(self) -> tuple[Op, ...]:
        """The operations a phone runs for it."""
        ...

    @property
    def params(self) -> int:
        """Number of trained parameters."""
        ...

    @property
    def madds(self) -> int:
        """Number of multiply-adds for one image."""
        ...


class NetworkValue(Protocol):
    """A whole network as a frozen, hashable value; everything about it is counted from its layers."""

    @property
    def resolution(self) -> int:
        """Side of the input images in pixels."""
        ...

    @property
    def classes(self) -> int:
        """Number of outputs."""
        ...

    @property
    def params(self) -> int:
        """Number of trained parameters."""
        ...

    @property
    def madds(self) -> int:
        """Number of multiply-adds for one image."""
        ...

    def ops(self) -> Sequence[LayerValue]:
        """Return the layers in running order."""
        ...


class SlotValue(Protocol):
    """A part of all networks of a space whose operations depend on few choices."""

    @property
    def name(self) -> str:
        """How people call it."""
        ...

    @property
    def depends(self) -> tuple[int, ...]:
        """The indices, rising, of all choices that decide the slot's operations."""
        ...


class Space(Protocol):
    """A set of networks as choices; genotypes are uint8 value indices of shape (choices,), batches (n, choices).

    `searchspace.choices.ChoiceSet` gives everything but the last five from a list of choices.
    """

    name: str
    choices: tuple[Choice, ...]

    @property
    def radices(self) -> NDArray[np.int64]:
        """Number of values of every choice, shape (choices,)."""
        ...

    def active(self, genotypes: Genotypes) -> NDArray[np.bool_]:
        """Tell which choices of each genotype matter, shape (n, choices)."""
        ...

    def canonical(self, genotypes: Genotypes) -> Genotypes:
        """Return the genotypes with every inactive choice set to 0."""
        ...

    def check(self, genotypes: ArrayLike) -> Genotypes:
        """Return a batch as canonical uint8 (n, choices); raises UserError where it is not of the space."""
        ...

    def sample(self, rng: np.random.Generator, n: int) -> Genotypes:
        """Draw n genotypes, shape (n, choices)."""
        ...

    def sample_from(self, rng: np.random.Generator, probabilities: Sequence[NDArray[np.float64]], n: int) -> Genotypes:
        """Draw n genotypes, each choice by its vector of probabilities."""
        ...

    def mutate(self, rng: np.random.Generator, genotypes: Genotypes, probability: float) -> Genotypes:
        """Give each active choice another value with the given probability, at least one choice per genotype."""
        ...

    def crossover(self, rng: np.random.Generator, first: Genotypes, second: Genotypes) -> Genotypes:
        """Mix two batches of parents choice by choice."""
        ...

    def count(self) -> int:
        """Return the number of canonical genotypes, exact."""
        ...

    def decode(self, genotype: NDArray[Any] | Sequence[int]) -> NetworkValue:
        """Return the network of one genotype; raises UserError where it is not of the space."""
        ...

    def describe(self, genotype: NDArray[Any] | Sequence[int]) -> str:
        """Return the choices of a genotype for people, one a line."""
        ...

    @property
    def slots(self) -> Sequence[SlotValue]:
        """The slots whose operations together are those of a network, in running order."""
        ...

    def slot_table(self, slot: Any) -> Iterable[tuple[Op, ...]]:
        """Yield the operations of a slot for all values of `slot.depends`, the last one varying fastest."""
        ...
