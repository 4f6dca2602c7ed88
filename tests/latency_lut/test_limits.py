"""What a table cannot decide is refused or said: the constant, weak tables, ops that nobody timed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from latency_lut.devices import load_device
from latency_lut.limits import doubtful_kinds, doubts, require_above_constant
from latency_lut.table import EXCLUDED_MS
from nas.jobs.search.prepare import price
from nas.jobs.search.settings import SearchSettings
from searchspace.ops import Op, OpKind
from searchspace.space import load_space
from searchspace.support.errors import Note, UserError
from searchspace.support.quantities import milliseconds

HSWISH, CONV = Op(OpKind.HSWISH, 14, 80, 80), Op(OpKind.CONV, 14, 80, 80)


@pytest.mark.parametrize(("budget_ms", "message"), [(0.2, "is below"), (0.29, "lies within the interval of")])
def test_a_budget_at_the_constant_is_refused(budget_ms: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        require_above_constant(load_device("galaxy_s24_npu"), budget_ms)


def test_a_budget_above_the_constant_and_tables_without_one_are_not_refused() -> None:
    require_above_constant(load_device("galaxy_s24_npu"), 0.9)
    require_above_constant(load_device("pixel1"), 0.001)


def test_doubts_are_said_only_where_they_matter() -> None:
    npu, int8 = load_device("galaxy_s24_npu"), load_device("galaxy_s24_npu_int8")
    assert list(doubts(npu, [CONV, HSWISH], 0.9)) == []
    (constant,) = doubts(npu, [CONV], 0.5)
    assert "0.27 of the 0.5 ms are the constant of galaxy_s24_npu" in constant
    weak, untimed = doubts(int8, [CONV, HSWISH], 0.9)
    assert "galaxy_s24_npu_int8 is too weak to search with" in weak
    assert "held hswish: priced by what is usual" in untimed
    assert doubtful_kinds(int8, [CONV, HSWISH]) == (OpKind.HSWISH,)
    dsp = npu.with_provenance(replace(npu.provenance, unsupported=(OpKind.HSWISH,)))
    assert any("cannot run hswish" in line for line in doubts(dsp, [HSWISH], 9.0))


def test_only_supported_leaves_out_what_was_never_timed() -> None:
    settings = SearchSettings(budget_ms=0.6, device="galaxy_s23_npu_int8", space="mnasnet", only_supported=True)
    with pytest.warns(Note, match="too weak"):
        priced = price(settings, load_space("mnasnet"))
    cost = priced.measures.costs["galaxy_s23_npu_int8"]
    assert cost.extremes().fastest_ms < 1.0
    assert cost.extremes().slowest_ms >= EXCLUDED_MS
    with pytest.raises(UserError, match="every network of mobilenetv3 holds hswish"):
        price(replace(settings, space="mobilenetv3"), load_space("mobilenetv3"))
    assert settings.as_dict()["only_supported"] is True
    assert "only_supported" not in SearchSettings(budget_ms=60).as_dict()


def test_times_of_accelerators_are_printed_with_more_digits() -> None:
    assert [milliseconds(value) for value in (51.04, 2.0, 0.752, 0.0915)] == ["51.0", "2.0", "0.75", "0.091"]
