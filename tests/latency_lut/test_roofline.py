"""Devices that are a few rates: their fit to made-up phones, their tables, and the published files they come from."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latency_lut import LatencyTable, Precision, Provenance, Scale, UnmeasuredOp, predict
from latency_lut.calibrate.calibration import RATES_OF, calibrate
from latency_lut.calibrate.left_out import LeftOut, off_pct
from latency_lut.calibrate.observations import Observation
from latency_lut.calibrate.roofline_fit import (
    NOMINAL,
    choose_roofline,
    doubt_share,
    fit_roofline,
    half_width_of,
    nested_coverage,
)
from latency_lut.devices import load_device
from latency_lut.networkfiles import read_samples
from latency_lut.phonefiles import mobileone_ops, regnet_y_800mf_ops
from latency_lut.roofline import RATES, Roofline, parts_ms, shares_of_rates, work_of
from latency_lut.samples import Target
from searchspace.ops import Op, OpKind
from searchspace.reference import reference
from searchspace.support.errors import UserError

NPU = Roofline(
    conv_ms_per_gmadds=0.1, depthwise_factor=15, activations_ms_per_mb=0.005, weights_ms_per_mb=0.016,
    launch_ms=0.001, other_launch_factor=1, hswish_factor=1.2, other_factor=0.9, element_bytes=2, channel_tile=32,
)  # fmt: skip
NETWORKS = (
    "mobilenet_v1", "mobilenet_v2", "mobilenet_v2_0.5", "mobilenet_v3_large", "mobilenet_v3_small",
    "mobilenet_v4_conv_small", "mnasnet_a1",
)  # fmt: skip


def timed(name: str, network_ms: float = 0.3, roofline: Roofline = NPU) -> Observation:
    ops = Counter(op for layer in reference(name).ops() for op in layer.ops)
    time_ms = network_ms + sum(count * roofline.estimate(op).latency_ms for op, count in ops.items())
    return Observation(name, "", dict(ops), time_ms, 0.02 * time_ms, True)


def test_an_op_takes_the_longer_of_arithmetic_and_traffic_and_its_launch() -> None:
    wide = Op(OpKind.CONV, 14, 64, 96)
    work = work_of(wide, 2, 32)
    assert work.gmadds == 14 * 14 * 64 * 96 / 1e9
    assert work.activations_mb == 14 * 14 * (64 + 96) * 2 / 1e6
    assert work.weights_mb == 64 * 96 * 2 / 1e6
    traffic_ms = work.activations_mb * 0.005 + work.weights_mb * 0.016
    assert NPU.estimate(wide).latency_ms == pytest.approx(max(work.gmadds * 0.1, traffic_ms) + 0.001)
    assert work_of(Op(OpKind.CONV, 14, 33, 1), 2, 32).gmadds == work_of(Op(OpKind.CONV, 14, 64, 32), 2, 32).gmadds


@pytest.mark.parametrize(
    "op",
    [
        Op(OpKind.CONV, 7, 960, 320), Op(OpKind.CONV, 112, 3, 32, 3, 2), Op(OpKind.DWCONV, 56, 144, 144, 5),
        Op(OpKind.HSWISH, 28, 240, 240), Op(OpKind.ADD, 28, 40, 40), Op(OpKind.LINEAR, 1, 1280, 1000),
    ],
)  # fmt: skip
def test_shares_of_rates_are_the_logarithmic_derivatives(op: Op) -> None:
    work, rates = work_of(op, 2, 32), NPU.rates()
    base_ms = parts_ms(op.kind, work, rates).sum()
    for index in range(len(RATES)):
        more = rates.copy()
        more[index] *= 1.0 + 1e-6
        slope = (parts_ms(op.kind, work, more).sum() / base_ms - 1.0) / 1e-6
        assert shares_of_rates(op.kind, work, rates)[index] == pytest.approx(slope, abs=1e-4)


def test_rates_are_found_again_from_seven_networks() -> None:
    observations = [timed(name) for name in NETWORKS]
    fit = fit_roofline(observations, NOMINAL[-1], 2)
    for observation in observations:
        assert fit.network_latency_ms(observation) == pytest.approx(observation.latency_ms, rel=0.02)
    assert fit.network_ms == pytest.approx(0.3, rel=0.2)
    unseen = timed("mobilenext")
    assert fit.network_latency_ms(unseen) == pytest.approx(unseen.latency_ms, rel=0.1)


def test_the_choice_covers_nine_in_ten_of_the_networks_left_out() -> None:
    rng = np.random.default_rng(3)
    noisy = [replace(o, latency_ms=o.latency_ms * float(np.exp(rng.normal(0, 0.05)))) for o in map(timed, NETWORKS)]
    choice = choose_roofline(noisy, 2)
    alone = [abs(point.error_pct) for point in choice.points if not point.family]
    assert 100 * np.mean(np.abs(choice.left_out_errors)) == pytest.approx(np.mean(alone))
    share = doubt_share(choice.points)
    inside = [off_pct(point) <= half_width_of(point, share) for point in choice.points]
    assert np.mean(inside) >= 0.85
    assert nested_coverage(choice.points).sum() <= sum(inside)
    # The table's interval is the one that was checked.
    fitted = table(choice.fit.roofline)
    fitted = fitted.with_provenance(
        replace(fitted.provenance, scale=Scale(per_network_ms=choice.fit.network_ms), interval_pct=choice.interval_pct)
    )
    found = predict(fitted, reference("mobilenet_v2"))
    sd_pct = 100 * choice.fit.doubt_ms(timed("mobilenet_v2")) / found.latency_ms / share
    wanted_pct = half_width_of(LeftOut("", "", "", 1.0, 0.0, sd_pct), share)
    assert 100 * (found.high_ms / found.latency_ms - 1) == pytest.approx(wanted_pct, rel=1e-3)


def test_an_interval_from_few_networks_is_wider_by_students_factor() -> None:
    few = [LeftOut(str(number), "", "", 1.0, 10.0, 0.0) for number in range(4)]
    many = [LeftOut(str(number), "", "", 1.0, 10.0, 0.0) for number in range(1000)]
    off = off_pct(few[0])
    assert half_width_of(few[0], doubt_share(few)) == pytest.approx(2.1318 * off, rel=1e-3)
    assert half_width_of(few[0], doubt_share(many)) == pytest.approx(1.6464 * off, rel=1e-3)


def table(roofline: Roofline = NPU) -> LatencyTable:
    made = load_device("galaxy_s24_npu").provenance
    return LatencyTable(replace(made, roofline=roofline, scale=Scale(per_network_ms=0.3)), {})


def test_a_table_of_rates_is_saved_without_rows_and_prices_the_same(tmp_path: Path) -> None:
    table().save(tmp_path / "t.csv")
    loaded = LatencyTable.load(tmp_path / "t.csv")
    assert loaded == table()
    assert len(loaded) == 0
    found = predict(loaded, reference("mobilenet_v2"))
    assert found.latency_ms == pytest.approx(timed("mobilenet_v2").latency_ms, abs=1e-3)
    with pytest.raises(UnmeasuredOp, match="at most 512 pixels and 4096 channels"):
        loaded.entry(Op(OpKind.CONV, 14, 8000, 8000))


def test_regnet_is_as_large_as_published() -> None:
    ops = regnet_y_800mf_ops()
    assert sum(op.params for op in ops) == pytest.approx(6.43e6, rel=0.01)
    assert sum(op.madds for op in ops) == pytest.approx(0.834e9, rel=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"launch_ms": -1.0}, "launch_ms must be a finite number"),
        ({"element_bytes": 3}, "element_bytes must be 1, 2 or 4"),
        ({"channel_tile": 0}, "channel_tile must be from 1"),
        ({"doubt": {"speed": 0.1}}, "doubt of an unknown rate 'speed'"),
    ],
)
def test_rates_that_cannot_be_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(NPU, **change)  # type: ignore[arg-type]


def test_calibrate_fits_rates_where_they_predict_an_accelerator_best(tmp_path: Path) -> None:
    file = tmp_path / "npu.csv"
    rows = [f"{name},{timed(name).latency_ms:.4f}" for name in NETWORKS[:5]]
    file.write_text("\n".join(["model,latency_ms", *rows]) + "\n")
    bases = [load_device("pixel1"), load_device("pixel4_int8")]
    found = calibrate(Target("my_npu", Precision.FLOAT16), [file], bases)
    assert found.choice == RATES_OF
    assert found.tried[RATES_OF] == min(found.tried.values()) == found.left_out_error_pct
    assert found.table.provenance.roofline is not None
    assert predict(found.table, reference("mnasnet_a1")).latency_ms == pytest.approx(
        timed("mnasnet_a1").latency_ms, rel=0.1
    )


@pytest.mark.parametrize(
    ("file", "device", "precision", "least"),
    [
        ("mobilenetv4_table6.csv", "pixel6", Precision.INT8, 9),
        ("mobilenetv4_table6.csv", "galaxy_s23_gpu", Precision.FLOAT16, 9),
        ("aihub_npu.csv", "galaxy_s24_npu", Precision.FLOAT16, 12),
        ("mlperf_v05_mobilenet_grid.csv", "rk3399", Precision.INT8, 6),
        ("mlperf_v05_mobilenet_grid.csv", "mate10_pro", Precision.INT8, 5),
    ],
)
def test_published_files_are_read(shared_data: Path, file: str, device: str, precision: Precision, least: int) -> None:
    pytest.importorskip("pytorchcv")
    reading = read_samples(shared_data / "latency" / file, Target(device, precision))
    assert len(reading) >= least
    assert all(sample.whole_network and sample.latency_ms > 0 for sample in reading)
    assert sum(reading.skipped.values()) > 0


def test_what_a_phone_could_not_run_is_said(shared_data: Path) -> None:
    reading = read_samples(shared_data / "latency" / "mobilenetv4_table6.csv", Target("pixel4_hexagon", Precision.INT8))
    assert reading.skipped["the network holds an op that the device could not run"] == 8


def test_mobileone_has_the_parameters_of_its_paper() -> None:
    small, large = mobileone_ops((0.75, 1.0, 1.0, 2.0), False), mobileone_ops((3.0, 3.5, 3.5, 4.0), True)
    assert round(sum(op.params for op in small) / 1e6, 1) == 2.1
    assert round(sum(op.params for op in large) / 1e6, 1) == 14.9
    assert [round(sum(op.madds for op in ops) / 1e6) for ops in (small, large)] == [275, 2979]


def test_threads_that_nobody_stated_are_said_so() -> None:
    made: Provenance = load_device("galaxy_s24_npu").provenance
    assert made.threads_text == "threads not stated"
    assert load_device("pixel6_int8").provenance.threads_text == "1 thread"
