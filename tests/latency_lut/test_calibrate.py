"""Inference of op times from sums, on made-up phones whose truth is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latency_lut import Estimate, LatencyTable, Precision, Provenance, Scale
from latency_lut.calibrate.adapt import adapt, nearest_base
from latency_lut.calibrate.assemble import _grown_with_channels, build_table, interval_pct
from latency_lut.calibrate.calibration import calibrate
from latency_lut.calibrate.costs import fit_costs, nominal_costs
from latency_lut.calibrate.designs import design_networks
from latency_lut.calibrate.deviations import allot
from latency_lut.calibrate.grid import table_networks, table_ops
from latency_lut.calibrate.inference import infer
from latency_lut.calibrate.left_out import LeftOut, calibrate_interval, families, half_width_pct, left_out, off_pct
from latency_lut.calibrate.observations import Observation, observe, weights_of
from latency_lut.calibrate.process import OpProcess
from latency_lut.calibrate.published import hswish_differences, published_networks, tunas_differences
from latency_lut.calibrate.views import fit_distant_scale, fit_scale, on_scale, predicted_ms, uniform_scale
from latency_lut.samples import Sample, Target
from searchspace.architecture import Activation, InvertedResidual, PlacedBlock, block_ops
from searchspace.ops import Op, OpKind
from searchspace.reference import reference
from searchspace.support.errors import UserError

Truth = Callable[[Sequence[Op]], np.ndarray]


def jittery_truth(ops: Sequence[Op]) -> np.ndarray:
    """A phone 30 % slower than nominal with a tile effect that first principles do not know."""
    tile = np.array([1.0 + 0.15 * (op.in_channels % 32 != 0) + 0.1 * (op.out_channels % 32 != 0) for op in ops])
    return nominal_costs(0.77).latency_ms(ops) * tile


def smooth_truth(ops: Sequence[Op]) -> np.ndarray:
    """A phone 30 % slower than nominal in everything."""
    return nominal_costs(0.77).latency_ms(ops)


def blocks(channels: Sequence[int] = (16, 24, 32, 48), sizes: Sequence[int] = (14, 28)) -> list[tuple[Op, ...]]:
    return [
        block_ops(
            PlacedBlock(
                InvertedResidual(kernel=kernel, stride=1, hidden=c * e, out=c, activation=Activation.RELU6), size, c
            )
        )
        for size in sizes
        for c in channels
        for e in (2, 3, 4, 6)
        for kernel in (3, 5, 7)
    ]


def networks() -> dict[str, tuple[Op, ...]]:
    return {name: tuple(op for layer in reference(name).ops() for op in layer.ops) for name in table_networks()[::3]}


def observed(ops: Sequence[Op], truth: Truth, view: str = "", label: str = "", error: float = 0.005) -> Observation:
    total = float(np.sum(truth(list(ops))))
    return observe(Sample(label, view, tuple(ops), total, len(ops) > 20), error)


def relative(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.abs(predicted / truth - 1.0)


def test_unseen_blocks_are_predicted_from_blocks_that_share_their_ops() -> None:
    everything = [observed(ops, jittery_truth) for ops in blocks()]
    order = np.random.default_rng(0).permutation(len(everything))
    seen, unseen = [everything[i] for i in order[24:]], [everything[i] for i in order[:24]]
    process = OpProcess(fit_costs(seen, nominal_costs()), seen)
    found = predicted_ms(unseen, process.mean_ms, Scale())
    truth = np.array([observation.latency_ms for observation in unseen])
    first_principles = predicted_ms(unseen, fit_costs(seen, nominal_costs()).latency_ms, Scale())
    assert relative(found, truth).mean() < 0.02
    assert relative(found, truth).mean() < relative(first_principles, truth).mean() / 2


def test_left_out_errors_in_closed_form_are_those_of_leaving_out() -> None:
    observations = [observed(ops, jittery_truth) for ops in blocks(channels=(16, 32), sizes=(14,))[::2]]
    costs = nominal_costs()
    residual_ms, _ = OpProcess(costs, observations).left_out_ms()
    for index in (0, 5, 11):
        others = observations[:index] + observations[index + 1 :]
        without = predicted_ms([observations[index]], OpProcess(costs, others).mean_ms, Scale())[0]
        assert residual_ms[index] == pytest.approx(observations[index].latency_ms - without, abs=1e-4)


def test_the_doubt_about_a_sum_is_that_of_the_whole_covariance() -> None:
    observations = [observed(ops, jittery_truth) for ops in blocks(channels=(16, 32), sizes=(14,))]
    process = OpProcess(nominal_costs(), observations)
    op, other = Op(OpKind.CONV, 14, 640, 96), Op(OpKind.CONV, 14, 96, 640)
    _, sd_ms = process.estimate([op])
    single, twice, both = process.sum_sd_ms([{op: 1}, {op: 2}, {op: 1, other: 1}])
    assert single == pytest.approx(sd_ms[0])
    assert twice == pytest.approx(2 * sd_ms[0])
    assert both > 1.2 * single  # what is not known of one is not known of the other


def test_the_doubt_allotted_to_ops_adds_up_to_that_about_networks() -> None:
    observations = [observed(ops, smooth_truth, label=name) for name, ops in networks().items()]
    process = OpProcess(nominal_costs(0.77), observations)
    doubt = allot(process, observations)
    sums = [Counter(op for layer in network for op in layer) for network in design_networks(40, seed=7)]
    ratios = []
    for counts, sd_ms in zip(sums, process.sum_sd_ms(sums), strict=True):
        ops, times = list(counts), np.array(list(counts.values()))
        mean_ms, own_ms = process.estimate(ops)
        own = times @ doubt.spread_ms(ops, mean_ms, own_ms) ** 2
        ratios.append(np.hypot(times @ doubt.shared_ms(ops, mean_ms), np.sqrt(own)) / sd_ms)
    assert np.median(ratios) == pytest.approx(1.0, abs=0.25)
    assert np.quantile(ratios, 0.1) > 0.4
    assert (doubt.shared >= 0).all()


def test_a_family_left_out_leaves_none_of_it_in_the_fit() -> None:
    observations = [observed(ops, smooth_truth, label=name) for name, ops in networks().items()]
    groups = families(observations)
    assert {observations[i].label for i in groups["mobilenet_v2"]} == {n for n in networks() if "et_v2" in n}
    seen: list[set[str]] = []

    def fit(rest: Sequence[Observation]) -> tuple[OpProcess, dict[str, Scale]]:
        seen.append({observation.label for observation in rest})
        return OpProcess(nominal_costs(0.77), rest), {}

    points = left_out(observations, fit, {"mobilenet_v2": groups["mobilenet_v2"]})
    assert not any(label.startswith("mobilenet_v2") for label in seen[0])
    assert {point.label for point in points} == {n for n in networks() if n.startswith("mobilenet_v2")}
    assert all(point.sd_pct > 0 and abs(point.error_pct) < 5 for point in points)


def test_the_interval_covers_nine_in_ten_and_is_no_wider_than_that_needs() -> None:
    rng = np.random.default_rng(1)
    sd_pct = rng.choice([1.0, 8.0], 400)
    errors = rng.normal(0, np.hypot(1.5, sd_pct))
    points = [
        LeftOut(str(i), "", "", 10.0, float(e), float(s)) for i, (e, s) in enumerate(zip(errors, sd_pct, strict=True))
    ]
    found = calibrate_interval(points)
    widths = np.array([half_width_pct(point, found.doubt_share, found.interval_pct[""]) for point in points])
    inside = np.array([off_pct(point) for point in points]) <= widths
    assert 0.9 <= inside.mean() <= 0.93
    assert inside[sd_pct == 1.0].mean() > 0.8 and inside[sd_pct == 8.0].mean() > 0.8
    flat = np.quantile([off_pct(point) for point in points], 0.9)
    assert widths.mean() < 0.85 * flat


def test_doubt_grows_away_from_what_was_measured() -> None:
    observations = [observed(ops, jittery_truth) for ops in blocks()]
    process = OpProcess(nominal_costs(), observations)
    near, far = Op(OpKind.CONV, 14, 32, 96), Op(OpKind.CONV, 112, 1024, 2048)
    mean_ms, sd_ms = process.estimate([near, far])
    assert sd_ms[0] / mean_ms[0] < sd_ms[1] / mean_ms[1]
    assert process.mean_ms([near, far]) == pytest.approx(mean_ms)


def test_a_source_on_another_scale_gives_structure_and_not_scale() -> None:
    elsewhere = Scale(factors=dict.fromkeys(OpKind, 1.4) | {OpKind.DWCONV: 1.1})
    observations = [observed(ops, lambda o: smooth_truth(o) * _factors(o, elsewhere), "elsewhere") for ops in blocks()]
    observations += [observed(ops, smooth_truth, "", name) for name, ops in networks().items()]
    inference = infer(observations, nominal_costs(), {"elsewhere": 1.0})
    assert inference.views["elsewhere"].factors[OpKind.CONV] == pytest.approx(1.4, rel=0.1)
    ops = [Op(OpKind.CONV, 14, 32, 96), Op(OpKind.CONV, 28, 96, 32)]
    assert relative(inference.process.mean_ms(ops), smooth_truth(ops)).max() < 0.15
    assert np.abs(inference.errors_of("elsewhere", False)).mean() < 0.03
    assert len(inference.errors_of("", True)) == len(networks())


def _factors(ops: Sequence[Op], scale: Scale) -> np.ndarray:
    return np.array([scale.factors[op.kind] for op in ops])


def test_factors_of_a_source_are_recovered() -> None:
    truth = Scale(factors=dict.fromkeys(OpKind, 0.8) | {OpKind.DWCONV: 1.3})
    observations = [observed(ops, lambda o: jittery_truth(o) * _factors(o, truth)) for ops in blocks()]
    found = fit_scale(observations, jittery_truth)
    assert found.factors[OpKind.CONV] == pytest.approx(0.8, rel=0.02)
    assert found.factors[OpKind.DWCONV] == pytest.approx(1.3, rel=0.05)
    assert on_scale(observations[0], truth).counts.keys() == observations[0].counts.keys()


def test_a_distant_source_may_have_outliers_and_a_constant_per_op() -> None:
    observations = [observed(ops, lambda o: 1.5 * jittery_truth(o) + 0.05, error=0.04) for ops in blocks()]
    observations[3] = Observation("wild", "", observations[3].counts, 40.0, 0.4, False)
    found = fit_distant_scale(observations, jittery_truth)
    assert found.per_op_ms == pytest.approx(0.05, rel=0.2)
    assert found.factors[OpKind.CONV] == pytest.approx(1.5, rel=0.1)


def test_rates_stay_near_the_nominal_core_where_nothing_was_measured() -> None:
    fitted = fit_costs([observed(ops, jittery_truth) for ops in blocks()], nominal_costs())
    assert fitted.rates_ms["hswish"] == pytest.approx(nominal_costs().rates_ms["hswish"])
    for name, rate in nominal_costs().rates_ms.items():
        assert rate / 4.001 <= fitted.rates_ms[name] <= rate * 4.001


@pytest.fixture(scope="module")
def base(provenance: Provenance) -> LatencyTable:
    ops = table_ops(())
    times = nominal_costs().latency_ms(ops)
    return LatencyTable(provenance, {op: Estimate(float(time)) for op, time in zip(ops, times, strict=True)})


def other_phone(ops: Sequence[Op]) -> np.ndarray:
    """A phone with twice the speed in dense convolutions only."""
    halved = np.array([0.5 if op.kind is OpKind.CONV else 1.0 for op in ops])
    return nominal_costs().latency_ms(ops) * halved


def test_a_handful_of_networks_adapts_a_table_better_than_one_factor(base: LatencyTable) -> None:
    observations = [observed(ops, other_phone, label=name) for name, ops in networks().items()]
    adaptation = adapt(base, observations)
    adapted, plain = np.abs(adaptation.left_out_errors).mean(), np.abs(adaptation.plain_left_out_errors).mean()
    assert adapted < 0.05 < 2 * plain
    assert adapted < plain
    ops = [Op(OpKind.CONV, 14, 64, 384), Op(OpKind.DWCONV, 14, 384, 384, 3)]
    assert relative(adaptation.process.mean_ms(ops), other_phone(ops)).max() < 0.2


def test_a_phone_that_differs_by_one_factor_gets_one_factor(base: LatencyTable) -> None:
    chosen = list(networks().items())[:4]
    observations = [observed(ops, lambda o: 0.7 * nominal_costs().latency_ms(o), label=n) for n, ops in chosen]
    adaptation = adapt(base, observations)
    ops = [Op(OpKind.CONV, 14, 64, 384), Op(OpKind.HSWISH, 14, 384, 384)]
    assert adaptation.process.mean_ms(ops) == pytest.approx(0.7 * nominal_costs().latency_ms(ops), rel=0.02)
    assert np.abs(adaptation.left_out_errors).mean() <= np.abs(adaptation.plain_left_out_errors).mean()


def test_the_base_that_is_most_alike_is_chosen(base: LatencyTable) -> None:
    times = {op: Estimate(float(time)) for op, time in zip(base.ops(), other_phone(base.ops()), strict=True)}
    alike = LatencyTable(base.provenance, times)
    observations = [observed(ops, lambda o: 1.2 * other_phone(o), label=n) for n, ops in list(networks().items())[:5]]
    chosen, _ = nearest_base([base, alike], observations)
    assert chosen is alike


def write_endpoints(path: Path, names: Sequence[str], truth: Truth) -> Path:
    rows = [
        f"{name},{float(np.sum(truth([op for layer in reference(name).ops() for op in layer.ops])))}" for name in names
    ]
    path.write_text("\n".join(["model,latency_ms", *rows]) + "\n")
    return path


def test_a_table_is_calibrated_from_a_file_of_networks(tmp_path: Path, base: LatencyTable) -> None:
    names = ("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "mnasnet_a1", "mobilenet_v2_0.35")
    file = write_endpoints(tmp_path / "times.csv", names, other_phone)
    found = calibrate(Target("my_phone", Precision.FLOAT32), [file], [base])
    made = found.table.provenance
    assert (made.device, made.points_used, made.sources) == ("my_phone", 5, ("times.csv",))
    assert found.plain_scaling_error_pct is not None
    assert found.left_out_error_pct <= found.plain_scaling_error_pct
    assert made.interval_pct > found.left_out_error_pct
    assert LatencyTable.load(_saved(found.table, tmp_path)) == found.table


def _saved(table: LatencyTable, folder: Path) -> Path:
    table.save(folder / "table.csv")
    return folder / "table.csv"


def test_too_few_measurements_are_refused_with_what_was_skipped(tmp_path: Path, base: LatencyTable) -> None:
    file = tmp_path / "times.csv"
    file.write_text("model,latency_ms\nmobilenet_v2,30\nno_such_network,10\n")
    with pytest.raises(UserError, match=r"1 measurements of my_phone .* at least 2 .* unknown network no_such_network"):
        calibrate(Target("my_phone", Precision.FLOAT32), [file], [base])
    with pytest.raises(UserError, match="at least 8 are needed without a base table"):
        calibrate(Target("my_phone", Precision.FLOAT32), [file], [])


def test_intervals_hold_nine_new_errors_in_ten() -> None:
    rng = np.random.default_rng(0)
    for count in (6, 15, 300):
        inside = []
        for _ in range(200):
            half = interval_pct(rng.normal(0, 0.03, count)) / 100
            inside.append(abs(rng.normal(0, 0.03)) <= half)
        assert 0.84 <= np.mean(inside) <= 0.97


@given(st.lists(st.floats(0.01, 10), min_size=16, max_size=16), st.sets(st.integers(0, 15), max_size=6))
def test_times_grow_with_channels_where_nothing_was_measured(times: list[float], seen: set[int]) -> None:
    channels = (8, 16, 32, 64)
    ops = [Op(OpKind.CONV, 14, cin, out) for cin in channels for out in channels]
    grown = _grown_with_channels(dict(zip(ops, times, strict=True)), {ops[index] for index in seen})
    assert all(grown[ops[index]] == times[index] for index in seen)
    if not seen:
        assert all(
            grown[small] <= grown[large]
            for small in ops
            for large in ops
            if small.in_channels <= large.in_channels and small.out_channels <= large.out_channels
        )


def test_the_grid_holds_every_op_of_the_published_networks(provenance: Provenance) -> None:
    observations = [observed(blocks()[0], jittery_truth)]
    process = OpProcess(nominal_costs(), observations)
    table = build_table(process, (), provenance, allot(process, observations).scaled(0.5))
    for ops in networks().values():
        assert all(op in table for op in ops)
    for op in (Op(OpKind.DWCONV, 112, 136, 136, 7, 2), Op(OpKind.CONV, 17, 3000, 5), Op(OpKind.CONV, 60, 24, 80, 5)):
        assert not table.entry(op).extrapolated


def test_published_figures_are_networks_and_differences_of_blocks() -> None:
    assert len(published_networks(Target("pixel1", Precision.FLOAT32))) == 8
    assert len(published_networks(Target("pixel3", Precision.INT8))) == 4
    assert published_networks(Target("pixel4", Precision.FLOAT32)) == []
    differences = list(tunas_differences())
    whole = differences[-1]
    assert (whole.label, whole.latency_ms) == ("proxylessnas_mobile", 84.42)
    sizes_cancel = next(d for d in differences if d.label == "14px 80>80 k5e3")
    assert sizes_cancel.counts == {Op(OpKind.DWCONV, 14, 240, 240, 5): 1, Op(OpKind.DWCONV, 14, 240, 240, 3): -1}


def test_what_h_swish_costs_is_a_difference_of_networks() -> None:
    everywhere, _, late = hswish_differences()
    assert {op.kind for op in everywhere.counts} == {OpKind.HSWISH}
    assert Op(OpKind.HSWISH, 56, 72, 72) in everywhere.counts
    assert Op(OpKind.HSWISH, 56, 72, 72) not in late.counts
    assert everywhere.latency_ms > late.latency_ms


def test_counts_of_equal_ops_add_up() -> None:
    op = Op(OpKind.CONV, 7, 8, 16)
    ops, counts = weights_of(
        [observe(Sample("", "", (op, op), 1.0, False), 0.1), observe(Sample("", "", (op,), 1.0, False), 0.1)]
    )
    assert ops == [op]
    assert counts.tolist() == [[2.0], [1.0]]
    assert uniform_scale(2.0).op_ms(OpKind.CONV, 3.0) == 6.0


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("mobilenetv3_large_w1", "mobilenet_v3_large"),
        ("mobilenetv2b_w1", "mobilenet_v2"),
        ("mobilenet_w1", "mobilenet_v1"),
    ],
)
def test_networks_of_pytorchcv_have_the_ops_of_ours(name: str, same: str) -> None:
    pytest.importorskip("pytorchcv")
    from latency_lut.pytorchcv_ops import pytorchcv_ops

    assert Counter(pytorchcv_ops(name)) == Counter(op for layer in reference(same).ops() for op in layer.ops)
