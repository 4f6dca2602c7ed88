"""The compiled form of a table gives the same bits as prediction one network at a time."""

from __future__ import annotations

import numpy as np
import pytest

from latency_lut import LatencyTable, UnmeasuredOp, predict
from latency_lut.compiled import CompiledCost, compile_counts
from searchspace.ops import OpKind
from searchspace.space import load_space, space_names
from searchspace.support.errors import UserError


@pytest.fixture(scope="module", params=space_names())
def space(request):
    return load_space(request.param)


@pytest.fixture(scope="module")
def compiled(space, table_of_space) -> CompiledCost:
    return CompiledCost(space, table_of_space(space))


def test_batched_and_single_predictions_agree_to_the_bit(compiled):
    genotypes = compiled.space.sample(np.random.default_rng(1), 3000)
    latency_ms = compiled.latency_ms(genotypes)
    low_ms, high_ms = compiled.interval_ms(genotypes)
    assert np.array_equal(high_ms, compiled.high_ms(genotypes))
    for i in range(0, 3000, 60):
        single = predict(compiled.table, compiled.space.decode(genotypes[i]))
        assert (single.latency_ms, single.low_ms, single.high_ms) == (latency_ms[i], low_ms[i], high_ms[i])
        assert compiled.latency_ms(genotypes[i])[0] == latency_ms[i]
        assert single.latency_ms == sum(layer.latency_ms for layer in single.layers) + single.overhead_ms


def test_counts_are_exact(space):
    genotypes = space.sample(np.random.default_rng(2), 40)
    madds, params = compile_counts(space)(genotypes)
    for i, genotype in enumerate(genotypes):
        architecture = space.decode(genotype)
        assert (madds[i], params[i]) == (architecture.madds, architecture.params)


def test_extremes_are_networks_of_the_space_that_no_sample_beats(compiled):
    found = compiled.extremes()
    latency_ms = compiled.latency_ms(compiled.space.sample(np.random.default_rng(3), 20_000))
    assert found.fastest_ms <= latency_ms.min() < latency_ms.max() <= found.slowest_ms
    assert found.fastest_ms == predict(compiled.table, compiled.space.decode(found.fastest)).latency_ms
    assert found.slowest_ms == predict(compiled.table, compiled.space.decode(found.slowest)).latency_ms


def test_extremes_of_a_small_space_are_those_of_its_enumeration(table_of_space):
    space = load_space("macro")
    compiled = CompiledCost(space, table_of_space(space))
    everything = np.stack(np.meshgrid(*[range(3)] * 8, indexing="ij"), -1).reshape(-1, 8).astype(np.uint8)
    latency_ms = compiled.latency_ms(everything)
    found = compiled.extremes()
    assert (found.fastest_ms, found.slowest_ms) == (latency_ms.min(), latency_ms.max())


def test_a_space_outside_the_table_is_refused_or_flagged(table_of_space):
    space = load_space("macro")
    whole = table_of_space(space)
    removed = max(op for op in whole.ops() if op.kind is OpKind.DWCONV)
    partial = LatencyTable(whole.provenance, {op: e for op, e in whole.entries().items() if op != removed})
    with pytest.raises(UnmeasuredOp, match="dwconv"):
        CompiledCost(space, partial)
    compiled = CompiledCost(space, partial, allow_extrapolation=True)
    genotypes = space.sample(np.random.default_rng(4), 200)
    flags = compiled.extrapolated(genotypes)
    assert flags.any() and not flags.all()
    for genotype, flag in zip(genotypes[:40], flags, strict=False):
        assert predict(partial, space.decode(genotype), allow_extrapolation=True).extrapolated == flag


@pytest.mark.parametrize("shape", [(3,), (2, 5), (2, 2, 8)])
def test_wrong_shapes_are_refused(table_of_space, shape):
    space = load_space("macro")
    with pytest.raises(UserError):
        CompiledCost(space, table_of_space(space)).latency_ms(np.zeros(shape, dtype=np.uint8))


def test_a_value_index_outside_its_choice_is_refused(table_of_space):
    space = load_space("macro")
    genotype = np.zeros((1, 8), dtype=np.uint8)
    genotype[0, 4] = 3
    with pytest.raises(UserError, match="layer4"):
        CompiledCost(space, table_of_space(space)).latency_ms(genotype)
