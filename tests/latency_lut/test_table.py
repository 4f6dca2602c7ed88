"""Latency tables: what is saved loads as the same, and anything else is refused with its place named."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_lut import Estimate, LatencyTable, Scale, TableError, UnmeasuredOp
from latency_lut.devices import ALIASES, device_names, load_device, shipped_names, user_table_path
from latency_lut.testing import LatencyTableConformance
from searchspace.ops import Op, OpKind
from searchspace.support.errors import UserError
from searchspace.support.files import sha256_text


class TestMadeUpTable(LatencyTableConformance):
    @pytest.fixture
    def table(self, table):
        return table


class TestShippedTables(LatencyTableConformance):
    @pytest.fixture(params=shipped_names())
    def table(self, request, tmp_path, monkeypatch):
        monkeypatch.setenv("NAS_HOME", str(tmp_path))  # a table of the user's own would go before a shipped one
        return load_device(request.param)


@pytest.fixture
def reading(tmp_path):
    """A function that loads a table from text."""

    def read(text: str) -> LatencyTable:
        path = tmp_path / "table.csv"
        path.write_bytes(text.encode())
        return LatencyTable.load(path)

    return read


def signed(text: str) -> str:
    """Return a table text with the row count and the checksum made right again after an edit."""
    lines = text.split("\n")
    header_end = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    lines[2] = f"# rows: {len([line for line in lines[header_end + 1 :] if line])}"
    lines[1] = f"# sha256: {sha256_text(chr(10).join(lines[2:]))}"
    return "\n".join(lines)


ROW = "conv,7,8,8,1,1,"


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("# unit: ms", "# unit: s", "must be in ms, not 's'"),
        ("# unit: ms\n", "", "must be in ms, not None"),
        ("# threads: 1", "# threads: -1", "threads must be at least 0"),
        ("# threads: 1", "# threads: one", "threads: expected a whole number"),
        ("# threads: 1", "# threads: 1\n# threads: 2", "threads: given twice"),
        ("# threads: 1", "# treads: 1", "treads: unknown field"),
        ("# soc: none\n", "", "missing 1 required keyword-only argument: 'soc'"),
        ("# date: '2026-01-02'", "# date: '2026-13-02'", "date must be a day"),
        ("# method: measured", "# method: guessed", "expected one of measured, calibrated, imported"),
        ("# method: measured", "# method: &a measured", "anchors and aliases"),
        ("# method: measured", "# method: !!python/name:os.system x", "tag"),
        ("# method: measured", "# method: [[[[[[[[[[[[[[]]]]]]]]]]]]]]", "nests"),
        ("# method: measured", "# method: measured: 3", "not valid YAML"),
        ("# interval_pct: 4.0", "# interval_pct: .nan", "interval_pct: expected a finite number"),
        ("# interval_pct: 4.0", "# interval_pct: -4", "interval_pct must be a finite percentage"),
        ("conv: 1.3", "convolution: 1.3", "views.elsewhere.factors.convolution"),
        (f"{ROW}0.0", f"{ROW}-0.0", "latency_ms must be milliseconds"),
        (f"{ROW}0.0", f"{ROW}nan0.0", "latency_ms must be milliseconds"),
        (f"{ROW}0.0", f"{ROW}1e9,0.0", "expected 10 columns"),
        (f"{ROW}0.", f"{ROW}9999999999.", "latency_ms must be milliseconds"),
        (ROW, "conv,0,8,8,1,1,", "in_size must be a whole number from 1"),
        (ROW, "conv,7,8.5,8,1,1,", "in_channels must be a whole number"),
        (ROW, "convolve,7,8,8,1,1,", "unknown kind of op 'convolve'"),
        (ROW, "conv,7,8,16,1,1,", "is given twice"),
        ("kind,in_size", "kind,size", "expected the column names"),
        ("schema 2", "schema 3", "schema 3 is not known"),
        ("# nas latency table", "# a table", "not a latency table"),
    ],
)
def test_what_cannot_be_believed_is_refused_with_file_and_line(table, reading, old, new, problem):
    text = table.to_text()
    assert old in text
    damaged = signed(text.replace(old, new, 1))
    with pytest.raises(TableError, match=re.escape(problem)) as refused:
        reading(damaged)
    assert "table.csv" in str(refused.value)
    # A repetition is noticed where it is repeated, an absent field at the start of the header.
    edited = line_of(text, old)
    assert refused.value.line in (edited, edited + 1, 4)


def test_a_table_of_schema_1_is_read_as_having_nothing_shared(table, reading):
    lines = table.to_text().replace("schema 2", "schema 1").split("\n")
    body = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    for i in range(body, len(lines) - 1):
        columns = lines[i].split(",")
        lines[i] = ",".join(columns[:8] + columns[9:])
    old = reading(signed("\n".join(lines)))
    assert old.ops() == table.ops()
    assert {entry.shared_ms for entry in old.entries().values()} == {0.0}
    assert [e.latency_ms for e in old.entries().values()] == [e.latency_ms for e in table.entries().values()]


@pytest.mark.parametrize("kept", [0, 1, 30, 200, 900, -1, -40])
def test_a_file_cut_short_is_refused(table, reading, kept):
    with pytest.raises(TableError):
        reading(table.to_text()[:kept])


@pytest.mark.parametrize("edit", [("0.00", "0.01"), ("device: made_up", "device: made_in")])
def test_an_edited_file_is_refused_by_its_checksum(table, reading, edit):
    with pytest.raises(TableError, match="checksum"):
        reading(table.to_text().replace(*edit, 1))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_mutated_file_is_refused_or_equal(table, tmp_path_factory, data):
    raw = bytearray(table.to_text().encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        piece = data.draw(st.binary(max_size=3))
        raw[at : at + data.draw(st.integers(0, 4))] = piece
    path = tmp_path_factory.mktemp("mutated") / "table.csv"
    path.write_bytes(bytes(raw))
    try:
        loaded = LatencyTable.load(path)
    except UserError as error:
        assert str(path) in str(error)
    else:
        assert loaded == table


@settings(max_examples=200, deadline=None)
@given(header=st.text(alphabet=st.characters(max_codepoint=0x2FF), max_size=200))
def test_any_header_is_refused(table, tmp_path_factory, header):
    lines = table.to_text().split("\n")
    body = lines[line_of(table.to_text(), "kind,") - 1 :]
    text = signed("\n".join([*lines[:3], *("# " + line for line in header.split("\n")), *body]))
    path = tmp_path_factory.mktemp("header") / "table.csv"
    path.write_bytes(text.encode())
    with pytest.raises(TableError):
        LatencyTable.load(path)


op_strategy = st.builds(
    Op,
    st.sampled_from(OpKind),
    st.integers(1, 999_999),
    st.integers(1, 999_999),
    st.integers(1, 999_999),
    st.integers(1, 99),
    st.integers(1, 9),
)
time_strategy = st.floats(0, 999_999, allow_nan=False)
estimate_strategy = st.builds(
    Estimate,
    time_strategy,
    time_strategy,
    st.integers(0, 10**9 - 1),
    extrapolated=st.just(False),
    shared_ms=time_strategy,
)


@settings(max_examples=100, deadline=None)
@given(entries=st.dictionaries(op_strategy, estimate_strategy))
def test_any_table_survives_saving(provenance, tmp_path_factory, entries):
    table = LatencyTable(provenance, entries)
    path = tmp_path_factory.mktemp("any") / "table.csv"
    table.save(path)
    assert LatencyTable.load(path) == table
    shuffled = LatencyTable(provenance, dict(reversed(list(entries.items()))))
    assert shuffled.to_text() == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "entry", [Estimate(-1.0), Estimate(float("nan")), Estimate(1.0, float("inf")), Estimate(1.0, 0.1, -1)]
)
def test_a_table_is_not_made_of_impossible_times(provenance, entry):
    with pytest.raises(UserError, match="conv 7x7 8 k1 s1"):
        LatencyTable(provenance, {Op(OpKind.CONV, 7, 8, 8): entry})


def test_an_extrapolation_never_becomes_an_entry(table):
    op = Op(OpKind.CONV, 7, 4000, 8)
    with pytest.raises(UserError, match="no measurement"):
        LatencyTable(table.provenance, {op: table.entry(op, allow_extrapolation=True)})


def test_a_view_has_the_scale_of_its_source(table):
    viewed = table.view("elsewhere")
    assert viewed.provenance.scale.factors == {OpKind.CONV: 1.3}
    assert viewed.provenance.network_interval_pct == 7.0
    assert table.provenance.network_interval_pct == 4.0
    with pytest.raises(UserError, match="elsewhere"):
        table.view("nowhere")


@pytest.mark.parametrize(
    "bad", [{"factors": {OpKind.CONV: -1.0}}, {"per_network_ms": float("nan")}, {"interval_pct": -1.0}]
)
def test_a_scale_cannot_be_impossible(bad):
    with pytest.raises(UserError):
        Scale(**bad)


def test_an_unmeasured_op_says_what_is_measured(table):
    with pytest.raises(UnmeasuredOp) as refused:
        table.entry(Op(OpKind.CONV, 14, 8, 320))
    for part in ("conv 14x14 8>320", "made_up", "8 to 160 output channels", "nas lut measure", "extrapolat"):
        assert part in str(refused.value)
    with pytest.raises(UnmeasuredOp, match="kernel 1 stride 1"):
        table.entry(Op(OpKind.CONV, 14, 8, 8, 3))
    with pytest.raises(UnmeasuredOp, match="pool"):
        table.entry(Op(OpKind.POOL, 14, 8, 8), allow_extrapolation=True)


class TestDevices:
    @pytest.fixture(autouse=True)
    def home(self, tmp_path, monkeypatch):
        monkeypatch.setenv("NAS_HOME", str(tmp_path / "home"))

    def test_a_measured_table_is_found_by_its_name_and_path(self, table):
        with pytest.raises(UserError, match="nas lut measure --device host"):
            load_device("host")
        table.save(user_table_path("host"))
        assert load_device("host") == load_device(user_table_path("host")) == table
        assert load_device("host:elsewhere") == table.view("elsewhere")
        assert "host" in device_names()

    def test_an_unknown_device_names_the_nearest(self, table):
        table.save(user_table_path("my_phone"))
        with pytest.raises(UserError, match="did you mean my_phone"):
            load_device("my_phon")
        with pytest.raises(UserError, match="there is no latency table for"):
            load_device("x" * 5000)

    @pytest.mark.parametrize("name", ["", "../phone", "a/b", "-x", "a:b", "x" * 200])
    def test_a_name_that_leads_elsewhere_is_refused(self, name):
        with pytest.raises(UserError, match="cannot name a device"):
            user_table_path(name)

    def test_every_alias_leads_to_a_device(self):
        for name, device in ALIASES.items():
            if device in device_names():
                assert load_device(name) == load_device(device)
