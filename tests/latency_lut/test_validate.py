"""Reading published measurements and scoring predictions against them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latency_lut import LatencyTable, Precision
from latency_lut.devices import load_device
from latency_lut.networkfiles import read_samples
from latency_lut.predict import predict_block
from latency_lut.samples import Reading, Sample, Target
from latency_lut.validate import Comparison, require_comparisons, scores, target_of, validate
from searchspace.ops import Op, OpKind
from searchspace.support.errors import UserError

PIXEL1 = Target("pixel1", Precision.FLOAT32)
FIGURES = [
    "count", "mean_abs_pct", "median_abs_pct", "p95_abs_pct", "max_abs_pct", "bias_pct", "within_5_pct",
    "within_10_pct", "spearman", "kendall", "coverage_90_pct",
]  # fmt: skip

TUNAS = """block_type,stage,resolution,channels,kernel,expansion,se,act,latency_ms,replicates
DepthwiseBottleneck,3,14,80,5,1.0,1,hard_swish,1.5,3
SeparableConv,0,112,16,3,,,relu,2.4,1
"""
NN_METER = """device,set,hw_in,cin,cout,expand,stride,act,kernel,se,latency_ms
pixel1,v3,56,24,40,4,2,hard_swish,5,1,3.1
pixel4,v3,56,24,40,4,2,hard_swish,5,1,1.1
"""
ENDPOINTS = """source,model,depth_multiplier,resolution,device,runtime,threads,precision,latency_ms
tensorflow/models,mobilenet_v2,0.5,160,Pixel 1,TFLite large core,1,float,14.9
tensorflow/models,mobilenet_v3_large,1,224,Pixel 1,TFLite large core,1,float,51.2
tensorflow/models,mobilenet_v3_large,1,224,Pixel 1,TFLite large core,1,uint8,44
tensorflow/models,mobilenet_v3_large,1,224,Pixel 2,TFLite large core,1,float,61
README,efficientnet_lite0,1,224,Pixel 1,TFLite CPU,1,float,12
README,mobilenet_v2,1,224,Pixel 1,TFLite GPU,1,float,16
README,mobilenet_v2,1,224,Pixel 1,TFLite CPU,?,float,45
"""


def write(folder: Path, text: str, name: str = "file.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_tunas_blocks_expand_at_expansion_one_and_carry_squeeze_excite(tmp_path: Path) -> None:
    bottleneck, separable = read_samples(write(tmp_path, TUNAS), PIXEL1).samples
    assert Counter(op.kind for op in bottleneck.ops) == {
        OpKind.CONV: 2, OpKind.DWCONV: 1, OpKind.HSWISH: 2, OpKind.POOL: 1, OpKind.LINEAR: 2, OpKind.SIGMOID: 1,
        OpKind.SCALE: 1, OpKind.ADD: 1,
    }  # fmt: skip
    assert bottleneck.ops[0] == Op(OpKind.CONV, 14, 80, 80)
    assert Op(OpKind.LINEAR, 1, 80, 24) in bottleneck.ops
    assert [op.kind for op in separable.ops] == [OpKind.DWCONV, OpKind.CONV, OpKind.ADD]
    assert (bottleneck.view, bottleneck.latency_ms, bottleneck.whole_network) == ("tunas", 1.5, False)


def test_nn_meter_blocks_have_a_projection_on_the_shortcut(tmp_path: Path) -> None:
    reading = read_samples(write(tmp_path, NN_METER), PIXEL1)
    (sample,) = reading.samples
    assert Op(OpKind.CONV, 28, 24, 40) in sample.ops
    assert sample.ops[-1] == Op(OpKind.ADD, 28, 40, 40)
    assert reading.skipped == {"measured on pixel4 in float32": 1}


def test_single_path_blocks_lie_on_the_mnasnet_skeleton(tmp_path: Path) -> None:
    rows = "block,kernel,expansion,latency_ms\n0,3,3,4\n5,5,6,5.1\n13,3,3,1.7\n17,3,3,1.6\n21,5,3,6\n"
    first, strided, flat, last_stage, last = read_samples(write(tmp_path, rows), PIXEL1).samples
    assert first.ops[0] == Op(OpKind.DWCONV, 112, 32, 32, 3)
    assert strided.ops[1] == Op(OpKind.DWCONV, 56, 144, 144, 5, 2)
    assert flat.ops[0] == Op(OpKind.CONV, 14, 80, 240)
    assert last_stage.ops[1] == Op(OpKind.DWCONV, 14, 288, 288, 3, 2)
    assert last.ops[-1] == Op(OpKind.CONV, 7, 576, 320)


def test_proxylessnas_keys_are_read_from_yaml(tmp_path: Path) -> None:
    text = """
Conv-input:224x224x3-output:112x112x32: {count: 1, mean: 4.0, var: 0.1}
Logits-input:7x7x1280-output:1000: {count: 1, mean: 0.3, var: 0.1}
expanded_conv-input:56x56x24-output:28x28x40-expand:6-kernel:7-stride:2-idskip:0: {count: 1, mean: 8.0, var: 0.1}
"""
    stem, logits, block = read_samples(write(tmp_path, text, "table.yaml"), PIXEL1).samples
    assert stem.ops == (Op(OpKind.CONV, 224, 3, 32, 3, 2),)
    assert logits.ops == (Op(OpKind.POOL, 7, 1280, 1280), Op(OpKind.LINEAR, 1, 1280, 1000))
    assert block.ops[1] == Op(OpKind.DWCONV, 56, 144, 144, 7, 2)
    with pytest.raises(UserError, match="not a block key of ProxylessNAS"):
        read_samples(write(tmp_path, "hello: {mean: 1.0}", "table.yaml"), PIXEL1)


def test_rows_for_others_are_skipped_and_counted_by_reason(tmp_path: Path) -> None:
    reading = read_samples(write(tmp_path, ENDPOINTS), PIXEL1)
    assert [(s.label, s.view) for s in reading] == [("mobilenet_v2_0.5@160", "slim_v2"), ("mobilenet_v3_large", "")]
    assert reading.skipped == {
        "measured in another precision": 1,
        "measured on another device": 1,
        "unknown network efficientnet_lite0": 1,
        "another runtime than TFLite on the CPU": 1,
        "threads unknown or not 1": 1,
    }


def test_end_to_end_columns_are_chosen_by_device_and_precision(tmp_path: Path) -> None:
    pytest.importorskip("pytorchcv")
    columns = [f"{d}_1large_{p}_mean_ms" for d in ("pixel4", "s10") for p in ("float", "quant")]
    text = f"network,{','.join(columns)}\nmobilenetv2b_w1,27.4,15.5,23.7,13.6\nno_such_net,1,1,1,1\n"
    path = write(tmp_path, text)
    for device, precision, latency_ms in (
        ("pixel4", Precision.FLOAT32, 27.4), ("pixel4", Precision.INT8, 15.5),
        ("galaxy_s10", Precision.FLOAT32, 23.7), ("galaxy_s10", Precision.INT8, 13.6),
    ):  # fmt: skip
        reading = read_samples(path, Target(device, precision))
        assert [sample.latency_ms for sample in reading] == [latency_ms]
        assert reading.skipped == {"unknown network no_such_net": 1}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1,2\n", "not a known form .* columns are a, b"),
        ("", "not a known form"),
        (TUNAS.replace("1.5", "-1.5"), "line 2: .*positive"),
        (TUNAS.replace("2.4", "nan"), "line 3: .*positive"),
        (TUNAS.replace(",80,", ",eighty,"), "line 2: .*eighty"),
        (TUNAS.replace(",80,", ",0,"), "line 2: "),
        (TUNAS.replace("hard_swish", "gelu"), "line 2: .*gelu"),
        (NN_METER.replace("3.1", ""), "line 2: "),
        ("block,kernel,expansion,latency_ms\n22,3,3,1.0\n", "line 2: .*block 22 is not one of"),
        ("model,latency_ms\nmobilenet_v2,quick\n", "line 2: .*quick"),
        ('model,latency_ms\n"r224,stem_k3_s2_c16_hs,zz",3\n', "line 2: .*zz"),
    ],
)
def test_bad_files_are_refused_with_the_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        read_samples(write(tmp_path, text), PIXEL1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_to_a_file_is_refused_or_read(tmp_path: Path, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from((TUNAS, NN_METER, ENDPOINTS)))
    start = data.draw(st.integers(0, len(text) - 1))
    junk = data.draw(st.text(max_size=8))
    path = tmp_path / "damaged.csv"
    path.write_text(text[:start] + junk + text[start + data.draw(st.integers(0, 20)) :], encoding="utf-8")
    try:
        reading = read_samples(path, PIXEL1)
    except UserError:
        return
    assert all(sample.latency_ms > 0 and sample.ops for sample in reading)


def comparison(measured: float, predicted: float, half: float = 1.0, view: str = "") -> Comparison:
    return Comparison("x", view, measured, predicted, predicted - half, predicted + half, False)


def test_figures_are_what_their_names_say() -> None:
    figures = scores([comparison(10, 10.4), comparison(20, 19.2), comparison(40, 46), comparison(80, 60)])
    assert list(figures) == FIGURES
    assert figures == pytest.approx(
        {
            "count": 4, "mean_abs_pct": 12.0, "median_abs_pct": 9.5, "p95_abs_pct": 23.5, "max_abs_pct": 25.0,
            "bias_pct": -2.5, "within_5_pct": 50.0, "within_10_pct": 50.0, "spearman": 1.0, "kendall": 1.0,
            "coverage_90_pct": 50.0,
        }
    )  # fmt: skip


def test_few_rows_leave_figures_out_instead_of_inventing_them() -> None:
    assert scores([comparison(10, 11)])["spearman"] is None
    assert scores([comparison(10, 11)])["mean_abs_pct"] == pytest.approx(10.0)
    assert scores([]) == {"count": 0} | dict.fromkeys(FIGURES[1:], None)


def test_every_source_is_compared_on_the_scale_that_the_table_holds(
    table: LatencyTable, formula: Callable[[Op], float]
) -> None:
    op = Op(OpKind.CONV, 14, 40, 80)
    samples = [Sample("own", "", (op,), 1.0, False), Sample("other", "elsewhere", (op,), 1.0, False)]
    own, other = validate(table, Reading(samples)).comparisons
    scale = table.provenance.scale
    assert own.predicted_ms == pytest.approx(formula(op) + scale.per_op_ms, abs=1e-6)
    assert other.predicted_ms == pytest.approx(1.3 * formula(op), abs=1e-6)
    assert other.view == "elsewhere"


def test_whole_networks_carry_the_overhead_of_a_network(table: LatencyTable) -> None:
    op = Op(OpKind.CONV, 14, 40, 80)
    block, network = (Sample("", "", (op,), 1.0, whole) for whole in (False, True))
    first, second = validate(table, Reading([block, network])).comparisons
    assert second.predicted_ms - first.predicted_ms == pytest.approx(0.3, abs=1e-6)
    assert second.high_ms == predict_block(table, (op,), whole_network=True).high_ms
    assert (
        second.high_ms - second.low_ms > first.high_ms - first.low_ms
    )  # the error of sums is a share of the whole time


def test_predictions_do_not_depend_on_the_measurements_unless_rescaled(table: LatencyTable) -> None:
    ops = [Op(OpKind.CONV, 14, cin, 80) for cin in (16, 40, 80)]
    slow = [Sample("", "", (op,), 10.0 * op.in_channels, False) for op in ops]
    fast = [Sample("", "", (op,), 1e-3 * op.in_channels, False) for op in ops]
    predicted = [[c.predicted_ms for c in validate(table, Reading(s)).comparisons] for s in (slow, fast)]
    assert predicted[0] == predicted[1]
    rescaled = validate(table, Reading(slow), rescale=True)
    errors = sorted(c.error_pct for c in rescaled.comparisons)
    assert errors[1] == pytest.approx(0.0)


def test_kinds_that_a_table_lacks_are_skipped_and_nothing_left_is_an_error(table: LatencyTable) -> None:
    missing = next(kind for kind in OpKind if kind not in {op.kind for op in table.ops()})
    validation = validate(table, Reading([Sample("", "", (Op(missing, 14, 8, 8),), 1.0, False)]))
    assert validation.skipped == {"holds an op of a kind that the table lacks": 1}
    with pytest.raises(UserError, match="no row to compare with: 1 holds an op"):
        require_comparisons(validation, "file.csv")


def test_left_over_rows_of_shipped_devices_match_their_own_target() -> None:
    assert target_of(load_device("pixel4_int8")) == Target("pixel4", Precision.INT8)
