"""Tables of other projects: the time of whole blocks, under keys that spell the block.

A block is kept as the ops it runs, so that its time can be compared with a prediction, and so that a table of single
ops can be inferred from many blocks (`latency_lut.formats.conversion`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from latency_lut.errors import TableError
from latency_lut.estimate import Estimate
from latency_lut.formats import nn_meter, proxylessnas
from latency_lut.predict import predict_block
from latency_lut.table import LatencyTable
from searchspace.architecture import Architecture
from searchspace.ops import Op
from searchspace.space import SearchSpace
from searchspace.support.errors import UserError, quoted
from searchspace.support.files import read_text
from searchspace.support.plain_yaml import PlainYamlError, load_plain_yaml

_LONGEST_FILE = 16_000_000


class BlockTime(NamedTuple):
    """The measured time of one block: its key in the file, the ops it runs, milliseconds."""

    key: str
    ops: tuple[Op, ...]
    time: Estimate


@dataclass(frozen=True)
class BlockTable:
    """The block times of one file, and the keys of it that were left out."""

    blocks: tuple[BlockTime, ...]
    skipped: tuple[str, ...] = ()


def read_block_table(path: str | Path, skip_unknown: bool = False) -> BlockTable:
    """Read a YAML table of ProxylessNAS or Once-for-All, or a flat JSON table of nn-Meter.

    Raises TableError, with file and line, for anything else: a key that spells no block (unless `skip_unknown`, which
    keeps its name), an impossible shape, a time that is not positive and finite, a key given twice.
    """
    try:
        content, lines = load_plain_yaml(read_text(path, "block table"), _LONGEST_FILE)
    except PlainYamlError as error:
        raise TableError(path, str(error), error.line) from None
    if not isinstance(content, dict) or not content:
        raise TableError(path, "expected block keys with their times", 1)
    keys = {str(key).rstrip(":"): (str(key), value) for key, value in content.items()}
    v3 = any(proxylessnas.is_v3_key(key) for key in keys)
    blocks, skipped = [], []
    for key, (written, value) in keys.items():
        if skip_unknown and not (proxylessnas.is_key(key) or nn_meter.is_key(key)):
            skipped.append(key)
            continue
        try:
            blocks.append(BlockTime(key, _ops(key, v3), _time(value)))
        except UserError as error:
            raise TableError(path, f"{quoted(key)}: {error}", lines.get((written,))) from None
    if not blocks:
        raise TableError(path, "no key of it spells a block that is known here", 1)
    return BlockTable(tuple(blocks), tuple(skipped))


def _ops(key: str, v3: bool) -> tuple[Op, ...]:
    if nn_meter.is_key(key):
        return nn_meter.ops_of_key(key)
    if proxylessnas.is_key(key):
        return proxylessnas.ops_of_key(key, v3)
    raise UserError("not a block key of ProxylessNAS, Once-for-All or nn-Meter")


def _time(value: Any) -> Estimate:
    """Return the time of a value: a number of milliseconds, or a mapping with mean, var or std, and count."""
    if not isinstance(value, dict):
        return Estimate(_milliseconds("the time", value))
    unknown = ", ".join(str(name) for name in value if name not in ("mean", "var", "std", "count"))
    if unknown or "mean" not in value:
        problem = f"{unknown[:60]} is not known" if unknown else "mean is absent"
        raise UserError(f"expected mean, var or std, and count; {problem}")
    mean_ms, runs = _milliseconds("mean", value["mean"]), value.get("count", 0)
    if not isinstance(runs, int) or not 0 <= runs < 10**9:
        raise UserError(f"count must be a whole number of at least 0, not {quoted(runs)}")
    variance_ms2 = _number("var", value.get("var", 0.0))
    if variance_ms2 < 0:
        raise UserError(f"var must be at least 0, not {variance_ms2}")
    spread_ms = math.sqrt(variance_ms2)
    if "std" in value:
        if "var" in value:
            raise UserError("var and std say the same: give one of them")
        spread_ms = _number("std", value["std"])
        if spread_ms < 0:
            raise UserError(f"std must be at least 0, not {spread_ms}")
    return Estimate(mean_ms, spread_ms, runs)


def _milliseconds(name: str, value: Any) -> float:
    number = _number(name, value)
    if not 0 < number < 1e6:
        raise UserError(f"{name} must be a positive number of milliseconds below 1000000, not {quoted(value)}")
    return number


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)  # YAML reads 1e-05 as text
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{name} must be a number, not {quoted(value)}") from None
    if isinstance(value, bool) or not math.isfinite(number):
        raise UserError(f"{name} must be a finite number, not {quoted(value)}")
    return number


def predict_blocks(table: LatencyTable, networks: Iterable[Architecture], v3: bool) -> BlockTable:
    """Predict every distinct part of some networks, as a block table; parts that have no key are left out by name.

    `v3` chooses Once-for-All's keys, which also spell squeeze-excite, activation and any hidden width.
    """
    blocks: dict[str, BlockTime] = {}
    skipped: dict[str, None] = {}
    for network in networks:
        for key, ops, problem in proxylessnas.keys_of_network(network, v3):
            if problem:
                skipped[problem] = None
            elif key not in blocks:
                prediction = predict_block(table, ops)
                variance = math.fsum(op.variance_ms2 for layer in prediction.layers for op in layer.ops)
                runs = min((table.entry(op).runs for op in ops), default=0)
                blocks[key] = BlockTime(key, ops, Estimate(prediction.latency_ms, math.sqrt(variance), runs))
    return BlockTable(tuple(blocks[key] for key in sorted(blocks)), tuple(skipped))


def networks_with_every_layer(space: SearchSpace) -> Iterator[Architecture]:
    """Yield networks of a space that together hold every layer of it, each at every value of its choices."""
    for slot in space.slots:
        values = list(product(*(range(int(space.radices[choice])) for choice in slot.depends)))
        genotypes = np.zeros((len(values), len(space.choices)), dtype=np.uint8)
        genotypes[:, list(slot.depends)] = values
        yield from (space.decode(genotype) for genotype in np.unique(space.canonical(genotypes), axis=0))


def format_block_table(table: BlockTable) -> str:
    """Return the YAML text, with mean, var and count for each key, that `read_block_table` reads."""
    content: Mapping[str, Mapping[str, float]] = {
        block.key: {
            "count": block.time.runs,
            "mean": round(block.time.latency_ms, 6),
            "var": round(block.time.spread_ms**2, 9),
        }
        for block in table.blocks
    }
    return yaml.safe_dump(content, sort_keys=False, width=200)
