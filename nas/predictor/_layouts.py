"""The accuracy tables a predictor can rest on: their columns, the space they describe, their derived features.

A network is one row of small whole numbers, the columns of its table (0 where a layer is absent). Rows come from a CSV
file, or from genotypes of any part of the table's space.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from searchspace.choices import Genotypes
from searchspace.space import SearchSpace, load_space
from searchspace.stage_plan import StagePlan
from searchspace.support.errors import UserError

Rows = NDArray[np.int16]
Features = NDArray[np.float64]

_HERE = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: the value of a field of one layer of a stage, or a stage's depth (field `depth`)."""

    name: str
    stage: str
    layer: int
    field: str
    values: tuple[int, ...]


class Total(NamedTuple):
    """A feature that is the total of that number, or its logarithm."""

    number: int
    logarithm: bool = False


@dataclass(frozen=True)
class Layout:
    """The form of one accuracy table.

    `space` is the name of the search space, or the file of the part of it, that the table's networks make up;
    `unit_sums` derives features from whole rows, (n, columns) in and (n, anything) out. `sum_owners` names the stage
    that decides each of these, or which of the `totals` it is a form of: whole numbers, (n, totals), that each stage
    adds to, 0 for columns of zeros.
    """

    name: str
    space: str | Path
    scale: str
    source: str
    columns: tuple[Column, ...]
    accuracy: str
    unit_sums: Callable[[Rows], Features]
    sum_owners: tuple[str | Total, ...]
    totals: Callable[[Rows], Features]

    @cached_property
    def covered(self) -> SearchSpace:
        """The space of all networks the table could hold."""
        return load_space(self.space)

    def read(self, space: SearchSpace, genotypes: Genotypes) -> Rows:
        """Return the rows of canonical genotypes, (n, choices) in and (n, columns) out, of a part of `covered`."""
        plans = {plan.stage.name: plan for plan in space.plans}
        rows = np.empty((len(genotypes), len(self.columns)), dtype=np.int16)
        for i, column in enumerate(self.columns):
            rows[:, i] = _read_column(plans[column.stage], genotypes, column)
        return rows

    def genotypes(self, space: SearchSpace, rows: Rows) -> Genotypes:
        """Return the genotypes of rows, (n, columns) in and (n, choices) out; raises UserError for rows outside."""
        genotypes = np.zeros((len(rows), len(space.choices)), dtype=np.uint8)
        for plan in space.plans:
            places = [i for i, column in enumerate(self.columns) if column.stage == plan.stage.name]
            _write_stage(plan, genotypes, rows[:, places], [self.columns[i] for i in places])
        genotypes = space.canonical(genotypes)
        outside = np.flatnonzero((self.read(space, genotypes) != rows).any(axis=1))
        if len(outside):
            raise UserError(f"row {outside[0] + 1} of the table is no network of the space {space.name}")
        return genotypes

    def features(self, rows: Rows) -> Features:
        """Return what the models see, shape (n, features): every value as steps, then the sums over units."""
        steps = [rows[:, i] >= value for i, column in enumerate(self.columns) for value in column.values[1:]]
        return np.column_stack([*steps, self.unit_sums(rows)]).astype(np.float64)

    @property
    def feature_owners(self) -> tuple[str | Total, ...]:
        """The stage that decides each feature, or the total it is a form of."""
        return (*(column.stage for column in self.columns for _ in column.values[1:]), *self.sum_owners)


def _read_column(plan: StagePlan, genotypes: Genotypes, column: Column) -> Rows:
    """Return the values of one column, shape (n,)."""
    depth = np.broadcast_to(_chosen_values(plan.stage.depths, plan.depth_at, genotypes), len(genotypes))
    if column.field == "depth":
        return depth
    values = np.zeros(len(genotypes), dtype=np.int16)
    if column.layer >= len(plan.layers):
        return values
    option = 0 if plan.block_at is None else genotypes[:, plan.block_at]
    for index, bindings in enumerate(plan.layers[column.layer]):
        binding = next(b for b in bindings if b.field == column.field)
        values = np.where(option == index, _chosen_values(binding.values, binding.choice, genotypes), values)
    return np.where(column.layer < depth, values, 0).astype(np.int16)


def _chosen_values(values: tuple[Any, ...], choice: int | None, genotypes: Genotypes) -> Rows:
    """Return the value each genotype has, (n,), or the only one, ()."""
    coded = _coded(values)
    return coded[0] if choice is None else coded[genotypes[:, choice]]


def _coded(values: tuple[Any, ...]) -> Rows:
    # Squeeze-excite is named by its gate; tables only tell whether it is there.
    return np.array([v if isinstance(v, int) else int(v != "none") for v in values], dtype=np.int16)


def _write_stage(plan: StagePlan, genotypes: Genotypes, rows: Rows, columns: Sequence[Column]) -> None:
    """Set a stage's choices, in `genotypes` (n, choices), to what its columns tell, `rows` (n, columns)."""
    layers = [i for i, column in enumerate(columns) if column.field == "kernel"]
    told = [i for i, column in enumerate(columns) if column.field == "depth"]
    depth = rows[:, told[0]] if told else (rows[:, layers] > 0).sum(axis=1)
    _set(genotypes, plan.depth_at, plan.stage.depths, depth, np.ones(len(rows), dtype=bool))
    for option in range(len(plan.stage.options)):
        bound = {
            i: next(b for b in plan.layers[column.layer][option] if b.field == column.field)
            for i, column in enumerate(columns)
            if column.field != "depth" and column.layer < len(plan.layers)
        }
        first = [i for i in bound if columns[i].layer == 0]
        chosen = np.all([np.isin(rows[:, i], _coded(bound[i].values)) for i in first], axis=0)
        if plan.block_at is not None:
            genotypes[chosen, plan.block_at] = option
        for i, binding in bound.items():
            _set(genotypes, binding.choice, binding.values, rows[:, i], chosen)


def _set(genotypes: Genotypes, choice: int | None, values: tuple[Any, ...], told: Rows, where: Any) -> None:
    for index, value in enumerate(_coded(values).tolist()):
        if choice is not None:
            genotypes[where & (told == value), choice] = index


def _once_for_all_columns() -> tuple[Column, ...]:
    columns = []
    for name, field, values in (("kernel", "kernel", (3, 5, 7)), ("expansion", "ratio", (3, 4, 6))):
        for unit in range(5):
            for layer in range(4):
                found = values if layer < 2 else (0, *values)
                columns.append(Column(f"unit{unit}_layer{layer}_{name}", f"unit{unit}", layer, field, found))
    return tuple(columns)


def _once_for_all_sums(rows: Rows) -> Features:
    """Per unit: layers, and logarithms of the sums of kernels, expansions and their products; then the totals."""
    kernel, expansion = (half.reshape(len(rows), 5, 4).astype(np.float64) for half in np.split(rows, 2, axis=1))
    sums = np.log([expansion.sum(2), kernel.sum(2), (expansion * kernel).sum(2)])
    return np.column_stack([*sums, (kernel > 0).sum(2), np.log(_once_for_all_totals(rows))])


def _once_for_all_totals(rows: Rows) -> Features:
    """Expansions, and expansions times kernels, summed over all layers; (n, 2)."""
    kernel, expansion = np.split(rows.astype(np.float64), 2, axis=1)
    return np.column_stack([expansion.sum(1), (expansion * kernel).sum(1)])


def _mnasnet_columns() -> tuple[Column, ...]:
    columns = []
    for block in range(7):
        for name, field, values in (
            ("expansion", "ratio", (1, 4, 6)),
            ("kernel", "kernel", (3, 5)),
            ("layers", "depth", (1, 2, 3, 4) if block == 5 else (1, 2, 3)),
            ("se", "squeeze", (0, 1)),
        ):
            columns.append(Column(f"block{block}_{name}", f"stage{block}", 0, field, values))
    return tuple(columns)


def _mnasnet_sums(rows: Rows) -> Features:
    """Per block: layers times expansion, kernel and squeeze-excite; then the totals."""
    expansion, kernel, layers, excited = np.moveaxis(rows.reshape(len(rows), 7, 4).astype(np.float64), 2, 0)
    wide = expansion * layers
    per_block = [layers, wide, wide * kernel, wide * excited, layers * excited, (expansion > 1) * layers]
    totals = _mnasnet_totals(rows)
    logarithms = [np.log(wide), np.log(wide * kernel), np.log(totals[:, 3]), np.log(totals[:, 0])]
    return np.column_stack([*per_block, totals, *logarithms])


def _mnasnet_totals(rows: Rows) -> Features:
    """Layers, blocks with squeeze-excite, expansions, layers times expansion, kernels, summed over blocks; (n, 5)."""
    expansion, kernel, layers, excited = np.moveaxis(rows.reshape(len(rows), 7, 4).astype(np.float64), 2, 0)
    summed = (layers, excited, expansion, expansion * layers, kernel)
    return np.column_stack([one.sum(1) for one in summed])


_MNASNET_BLOCKS = tuple(f"stage{block}" for block in range(7))
LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout(
            name="mobilenetv3",
            space="mobilenetv3",
            scale="ImageNet top-1 of sub-networks of the Once-for-All supernet, not retrained",
            source="sub-networks evaluated on ImageNet by IntelLabs/DyNAS-T (Apache-2.0)",
            columns=_once_for_all_columns(),
            accuracy="top1",
            unit_sums=_once_for_all_sums,
            sum_owners=(*(f"unit{unit}" for unit in range(5)),) * 4 + (Total(0, True), Total(1, True)),
            totals=_once_for_all_totals,
        ),
        Layout(
            name="mnasnet",
            space=_HERE / "mnasnet_covered.yaml",
            scale="ImageNet top-1 after one shortened training schedule, below that of full training",
            source="networks trained on ImageNet by afzalxo/Accel-NASBench (Apache-2.0)",
            columns=_mnasnet_columns(),
            accuracy="val_top1",
            unit_sums=_mnasnet_sums,
            sum_owners=(
                *_MNASNET_BLOCKS * 6,
                *(Total(number) for number in range(5)),
                *_MNASNET_BLOCKS * 2,
                Total(3, True),
                Total(0, True),
            ),
            totals=_mnasnet_totals,
        ),
    )
}
