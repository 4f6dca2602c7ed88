"""Tables of other projects: what is written is read back, real files are read whole, anything else is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_lut import Scale, TableError, predict, predict_block
from latency_lut.formats import (
    BlockTable,
    format_block_table,
    networks_with_every_layer,
    predict_blocks,
    read_block_table,
)
from latency_lut.formats.conversion import infer_table
from searchspace.ops import Op, OpKind
from searchspace.reference import reference
from searchspace.space import load_space
from searchspace.support.errors import UserError

STEM = "Conv-input:224x224x3-output:112x112x32"
BLOCK = "expanded_conv-input:56x56x24-output:28x28x40-expand:6-kernel:5-stride:2-idskip:0"
V3_BLOCK = "expanded_conv-input:28x28x40-output:28x28x40-expand:120-kernel:5-stride:1-idskip:1-se:1-hs:0"


@pytest.fixture
def reading(tmp_path):
    """A function that reads a block table from text."""

    def read(text: str, **options: bool) -> BlockTable:
        path = tmp_path / "foreign.yaml"
        path.write_text(text, encoding="utf-8")
        return read_block_table(path, **options)

    return read


def test_the_published_proxylessnas_table_is_read_whole(shared_data):
    table = read_block_table(shared_data / "latency" / "proxylessnas_pixel1.yaml")
    assert len(table.blocks) == 72
    stem = next(block for block in table.blocks if block.key == STEM)
    assert stem.ops == (Op(OpKind.CONV, 224, 3, 32, 3, 2),)
    assert (stem.time.latency_ms, stem.time.runs) == (4.083755600814664, 982)
    assert stem.time.spread_ms == pytest.approx(0.2502372872758427**0.5)


def test_a_published_table_predicts_its_own_blocks(shared_data, provenance):
    blocks = read_block_table(shared_data / "latency" / "proxylessnas_pixel1.yaml")
    table = infer_table(blocks, provenance)
    for block in blocks.blocks:
        assert predict_block(table, block.ops).latency_ms == pytest.approx(block.time.latency_ms, rel=0.05)
    assert table.provenance.points_used == 72
    assert 0 < table.provenance.left_out_error_pct < 10
    assert table.provenance.interval_pct > 0


def test_the_parts_of_a_network_are_those_of_its_prediction(reading, table_of):
    for name, v3 in (("proxylessnas_mobile", False), ("mobilenet_v2", False), ("mobilenet_v3_large", True)):
        network = reference(name)
        ops = [op for layer in network.ops() for op in layer.ops]
        table = table_of(ops)
        read = reading(format_block_table(predict_blocks(table, [network], v3)))
        assert not read.skipped
        assert {op for block in read.blocks for op in block.ops} == set(ops)


def test_a_written_table_is_read_back(reading, table_of_space):
    space = load_space("proxylessnas")
    written = predict_blocks(table_of_space(space), networks_with_every_layer(space), v3=False)
    assert not written.skipped
    read = reading(format_block_table(written))
    assert [block.key for block in read.blocks] == [block.key for block in written.blocks]
    for ours, theirs in zip(written.blocks, read.blocks, strict=True):
        assert theirs.ops == ours.ops
        assert theirs.time.latency_ms == pytest.approx(ours.time.latency_ms, abs=1e-6)
        assert theirs.time.runs == ours.time.runs == 25


def test_every_layer_of_a_space_is_written(table_of_space):
    space = load_space("proxylessnas")
    table = table_of_space(space)
    written = predict_blocks(table, networks_with_every_layer(space), v3=False)
    times = {block.ops: block.time.latency_ms for block in written.blocks}
    for slot in space.slots:
        for ops in space.slot_table(slot):
            assert not ops or ops in times or slot.name == "head"


def test_what_has_no_key_is_left_out_and_named(table_of):
    sandglass = reference("mobilenext")
    table = table_of({op for layer in sandglass.ops() for op in layer.ops})
    written = predict_blocks(table, [sandglass], v3=False)
    assert written.skipped
    assert all("Conv" in block.key or "Logits" in block.key for block in written.blocks)


def test_mobilenet_v3_cannot_be_told_in_the_keys_of_proxylessnas(table_of):
    network = reference("mobilenet_v3_large")
    table = table_of({op for layer in network.ops() for op in layer.ops})
    written = predict_blocks(table, [network], v3=False)
    excited = [block for block in written.blocks if any(op.kind is OpKind.SCALE for op in block.ops)]
    assert not excited
    assert written.skipped


def test_once_for_all_keys_spell_width_excitation_and_activation(reading):
    (block,) = reading(f"{V3_BLOCK}: {{mean: 1.5, count: 3}}").blocks
    kinds = [op.kind for op in block.ops]
    assert kinds.count(OpKind.LINEAR) == 2
    assert OpKind.HSWISH not in kinds
    assert block.ops[0] == Op(OpKind.CONV, 28, 40, 120)
    assert block.ops[-1].kind is OpKind.ADD


def test_flat_json_of_nn_meter_is_read(reading):
    content = {
        "firstconv_224_3_16_2_3": 0.62,
        "conv_56_24_24_6_1_hard_swish_5_nose": 2.449,
        "conv_56_24_40_6_2_relu_3_True": 1e-3,
        "transformer_11_80_112_4_1_hard_swish_4_ds": 3.5,
    }
    with pytest.raises(TableError, match="line 5"):
        reading(json.dumps(content, indent=1))
    table = reading(json.dumps(content, indent=1), skip_unknown=True)
    assert table.skipped == ("transformer_11_80_112_4_1_hard_swish_4_ds",)
    first, residual, projected = table.blocks
    assert first.ops[0] == Op(OpKind.CONV, 224, 3, 16, 3, 2)
    assert residual.time.latency_ms == 2.449
    assert Op(OpKind.CONV, 28, 24, 40) in projected.ops
    assert projected.time.latency_ms == 1e-3


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (f"{STEM}: {{mean: 1.0}}\n{BLOCK}: {{mean: -1.0}}", 2, "positive"),
        (f"{STEM}: {{mean: 1.0}}\n{BLOCK}: {{mean: .nan}}", 2, "finite"),
        (f"{STEM}: {{mean: fast}}", 1, "must be a number"),
        (f"{STEM}: {{mean: 1.0, unit: s}}", 1, "unit is not known"),
        (f"{STEM}: {{var: 1.0}}", 1, "mean is absent"),
        (f"{STEM}: {{mean: 1.0, count: -3}}", 1, "count"),
        (f"{STEM}: {{mean: 1.0, var: -3}}", 1, "var"),
        (f"{STEM}: [1.0]", 1, "must be a number"),
        (f"{STEM}: {{mean: 1.0}}\n{STEM}: {{mean: 1.0}}", 2, "given twice"),
        (BLOCK.replace("28x28x40", "27x27x40") + ": 1.0", 1, "does not turn 56 pixels into 27"),
        (BLOCK.replace("idskip:0", "idskip:1") + ": 1.0", 1, "forbid a shortcut"),
        (BLOCK.replace("56x56", "56x55") + ": 1.0", 1, "not a square"),
        (BLOCK.replace("kernel:5", "kernel:4") + ": 1.0", 1, "odd"),
        (BLOCK.replace("-kernel:5", "") + ": 1.0", 1, "settings"),
        (STEM.replace("112x112", "56x56") + ": 1.0", 1, "does not turn"),
        ("Conv_3-input:7x7x3-output:7x7x3: 1.0", 1, "not a block key"),
        ("a: &a 1.0\nb: *a", 1, "alias"),
        ("? [1, 2]\n: 3", 1, "not valid YAML"),
        ("{", 1, "not valid YAML"),
        ("", 1, "expected block keys"),
        ("1.0", 1, "expected block keys"),
    ],
)
def test_what_is_no_block_table_is_refused_with_its_line(reading, text, line, problem):
    with pytest.raises(TableError, match=re.escape(problem)) as refused:
        reading(text)
    assert "foreign.yaml" in str(refused.value)
    assert abs((refused.value.line or 1) - line) <= 1


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_changed_file_is_read_or_refused(tmp_path_factory, data):
    text = f"{STEM}:\n  count: 9\n  mean: 4.08\n  var: 0.25\n{BLOCK}:\n  mean: 1.0\n{V3_BLOCK}: 2.5\n"
    at = data.draw(st.integers(0, len(text) - 1))
    piece = data.draw(st.text(st.characters(max_codepoint=0x2FF), max_size=3))
    path = tmp_path_factory.mktemp("changed") / "foreign.yaml"
    path.write_text(text[:at] + piece + text[at + data.draw(st.integers(0, 5)) :], encoding="utf-8")
    try:
        table = read_block_table(path)
    except UserError as error:
        assert str(path) in str(error)
    else:
        assert all(block.ops and 0 < block.time.latency_ms < 1e6 for block in table.blocks)


def test_too_few_blocks_make_no_table(reading, provenance):
    with pytest.raises(UserError, match="too few"):
        infer_table(reading(f"{STEM}: 1.0"), provenance)


def test_the_table_of_a_whole_space_predicts_its_networks(table_of_space, provenance):
    space = load_space("proxylessnas")
    truth = table_of_space(space).with_provenance(replace(provenance, scale=Scale()))
    inferred = infer_table(predict_blocks(truth, networks_with_every_layer(space), v3=False), provenance)
    network = reference("proxylessnas_mobile")
    assert predict(inferred, network).latency_ms == pytest.approx(predict(truth, network).latency_ms, rel=0.03)


def test_entries_as_csv_are_the_body_of_the_table(table):
    lines = table.to_csv().splitlines()
    assert lines[0].startswith("kind,in_size")
    assert len(lines) == len(table) + 1
    assert table.to_text().endswith(table.to_csv())
