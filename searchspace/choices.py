"""Genotypes: vectors of value indices over a tuple of choices, and everything one does with whole batches of them.

Nothing here knows what a choice means. A choice may depend on earlier ones (the kernel of layer 3 exists only where
the depth is at least 4); an inactive choice holds 0 in the canonical form, so that equal networks of a space have
equal genotypes and a table can be indexed without asking what is active. All operations take and return arrays of
shape (n, choices), uint8, and cost microseconds a genotype.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from searchspace.support.errors import UserError

Genotypes = NDArray[np.uint8]
MAX_VALUES = 255  # a value index is stored in one byte


@dataclass(frozen=True, slots=True)
class Condition:
    """A choice is active only while the choice named `path` has one of `values`."""

    path: str
    values: frozenset[Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """One decision of a space: a slash path such as `stage2/layer1/kernel` and the values it can take.

    The choice is active where every condition of `when` holds (and the choices named there are active themselves).
    """

    path: str
    values: tuple[Any, ...]
    when: tuple[Condition, ...] = ()


class ChoiceSet:
    """An ordered set of choices, parents before the choices that depend on them.

    Raises UserError for a repeated path, a choice without values or a condition on a choice that comes later.
    """

    def __init__(self, choices: Sequence[Choice]) -> None:
        self.choices = tuple(choices)
        self.index = {choice.path: i for i, choice in enumerate(self.choices)}
        if len(self.index) != len(self.choices):
            raise UserError("a search space names one choice twice")
        for i, choice in enumerate(self.choices):
            if not 1 <= len(choice.values) <= MAX_VALUES:
                raise UserError(f"choice {choice.path} has {len(choice.values)} values, expected 1 to {MAX_VALUES}")
            for condition in choice.when:
                if self.index.get(condition.path, i) >= i:
                    raise UserError(f"choice {choice.path} depends on {condition.path}, which does not come before it")

    @cached_property
    def radices(self) -> NDArray[np.int64]:
        """Number of values of every choice, shape (choices,)."""
        return np.array([len(choice.values) for choice in self.choices], dtype=np.int64)

    @cached_property
    def _conditions(self) -> tuple[tuple[tuple[tuple[int, NDArray[np.bool_]], ...], list[int]], ...]:
        """The distinct condition sets with the choices that share each: ((parent, allowed by index), ...), choices."""
        groups: dict[tuple[Condition, ...], list[int]] = {}
        for i, choice in enumerate(self.choices):
            if choice.when:
                groups.setdefault(choice.when, []).append(i)
        compiled = []
        for when, members in groups.items():
            parents = []
            for condition in when:
                parent = self.index[condition.path]
                allowed = np.array([value in condition.values for value in self.choices[parent].values])
                parents.append((parent, allowed))
            compiled.append((tuple(parents), members))
        return tuple(compiled)

    def active(self, genotypes: Genotypes) -> NDArray[np.bool_]:
        """Tell which choices of each genotype matter: (n, choices) in, (n, choices) booleans out."""
        mask = np.ones(genotypes.shape, dtype=bool)
        # Groups come in the order of their first member, so a parent's own mask is final before it is read.
        for parents, members in self._conditions:
            holds = np.ones(len(genotypes), dtype=bool)
            for parent, allowed in parents:
                holds &= allowed[genotypes[:, parent]] & mask[:, parent]
            mask[:, members] = holds[:, None]
        return mask

    def canonical(self, genotypes: Genotypes) -> Genotypes:
        """Return the genotypes with every inactive choice set to 0."""
        return np.where(self.active(genotypes), genotypes, np.uint8(0))

    def check(self, genotypes: ArrayLike) -> Genotypes:
        """Return a batch as canonical uint8 (n, choices); one genotype becomes a batch of one.

        Raises UserError where the shape or a value index does not fit the space.
        """
        batch = np.atleast_2d(np.asarray(genotypes))
        if batch.ndim != 2 or batch.shape[1] != len(self.choices):
            raise UserError(f"a genotype of this space has {len(self.choices)} entries, got shape {batch.shape}")
        wrong = (batch < 0) | (batch >= self.radices)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            choice = self.choices[column]
            raise UserError(f"{choice.path}: value index {batch[row, column]} is outside 0..{len(choice.values) - 1}")
        return self.canonical(batch.astype(np.uint8))

    def sample(self, rng: np.random.Generator, n: int) -> Genotypes:
        """Draw n genotypes, each choice uniform over its values, shape (n, choices)."""
        return self.canonical(self._draw(rng, n))

    def sample_from(self, rng: np.random.Generator, probabilities: Sequence[NDArray[np.float64]], n: int) -> Genotypes:
        """Draw n genotypes, shape (n, choices), each choice by its vector of probabilities."""
        columns = [rng.choice(len(part), size=n, p=part / part.sum()) for part in probabilities]
        return self.canonical(np.stack(columns, axis=1).astype(np.uint8))

    def _draw(self, rng: np.random.Generator, n: int) -> Genotypes:
        return rng.integers(0, self.radices, size=(n, len(self.choices)), dtype=np.uint8)

    def mutate(self, rng: np.random.Generator, genotypes: Genotypes, probability: float) -> Genotypes:
        """Give each active choice another value with the given probability, and at least one choice per genotype.

        Choices that a mutation brings to life (deeper stage, other block) start at random values.
        """
        batch = np.atleast_2d(genotypes)
        active = self.active(batch)
        movable = active & (self.radices > 1)
        hit = movable & (rng.random(batch.shape) < probability)
        # A genotype that nothing hit gets its movable choice with the highest draw.
        fallback = np.where(movable, rng.random(batch.shape), -1.0).argmax(axis=1)
        missed = np.flatnonzero(~hit.any(axis=1) & movable.any(axis=1))
        hit[missed, fallback[missed]] = True
        step = rng.integers(1, np.maximum(self.radices, 2), size=batch.shape)
        moved = ((batch + step) % self.radices).astype(np.uint8)
        filled = np.where(active, batch, self._draw(rng, len(batch)))
        return self.canonical(np.where(hit, moved, filled))

    def crossover(self, rng: np.random.Generator, first: Genotypes, second: Genotypes) -> Genotypes:
        """Mix two batches of parents (n, choices) choice by choice with equal chance.

        Where the chosen parent does not have the choice, the value comes from the other one.
        """
        a, b = np.atleast_2d(first), np.atleast_2d(second)
        has_a, has_b = self.active(a), self.active(b)
        from_a = np.where(has_a == has_b, rng.random(a.shape) < 0.5, has_a)
        return self.canonical(np.where(from_a, a, b))

    def count(self) -> int:
        """Number of canonical genotypes, exact."""
        total = 1
        for component in self._components():
            total *= self._count_component(component)
        return total

    def _components(self) -> list[list[int]]:
        """Choices tied together by conditions; the counts of separate components multiply."""
        label = list(range(len(self.choices)))
        for i, choice in enumerate(self.choices):
            for condition in choice.when:
                old, new = label[i], label[self.index[condition.path]]
                label = [new if entry == old else entry for entry in label]
        components: dict[int, list[int]] = {}
        for i, entry in enumerate(label):
            components.setdefault(entry, []).append(i)
        return list(components.values())

    def _count_component(self, members: list[int]) -> int:
        """Sum, over the values of the choices that others depend on, of the product of the other active choices."""
        parents = sorted({self.index[c.path] for i in members for c in self.choices[i].when})
        total = 0
        for values in product(*(range(int(self.radices[parent])) for parent in parents)):
            genotype = np.zeros((1, len(self.choices)), dtype=np.uint8)
            genotype[0, parents] = values
            active = self.active(genotype)[0]
            if all(active[parent] or not value for parent, value in zip(parents, values, strict=True)):
                ways = 1
                for i in members:
                    if active[i] and i not in parents:
                        ways *= int(self.radices[i])
                total += ways
        return total

    def enumerate(self) -> Iterator[Genotypes]:
        """Yield every canonical genotype, shape (choices,); for spaces small enough to walk."""
        for values in product(*(range(int(radix)) for radix in self.radices)):
            genotype = np.array([values], dtype=np.uint8)
            if (self.canonical(genotype) == genotype).all():
                yield genotype[0]
