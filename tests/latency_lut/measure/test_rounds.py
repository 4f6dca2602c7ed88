"""The measuring loop on a device whose truth is known: drift is divided out, interruptions lose nothing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_lut import Precision
from latency_lut.measure.assemble import assemble
from latency_lut.measure.backend import Conditions, DeviceFacts, Task, build_model, task_key, task_of
from latency_lut.measure.endtoend import random_networks
from latency_lut.measure.journal import Measurement, MeasurementLog
from latency_lut.measure.litert import Timing
from latency_lut.measure.references import COMPUTE, LAUNCH, MEMORY, REFERENCES, References
from latency_lut.measure.rounds import estimates, measure, spread_out
from latency_lut.predict import predict
from searchspace import Op, OpKind, reference
from searchspace.support.errors import UserError

STEADY = References((1.0,) * len(REFERENCES))
OPS = [Op(OpKind.CONV, 14, 8 * n, 16 * n) for n in range(1, 25)]
FACTS = DeviceFacts(device="made up", soc="none", runtime="none", runtime_build="1", cores="0", threads=1)


class MadeUpDevice:
    """Takes a time that follows from the size of the model, times `drift(number of models timed so far)`."""

    batch_size = 4
    seconds_per_op = 0.1

    def __init__(self, drift: Callable[[int], float] = lambda count: 1.0) -> None:
        self.drift, self.count, self.pauses = drift, 0, 0

    def facts(self) -> DeviceFacts:
        return FACTS

    def conditions(self) -> Conditions:
        return Conditions(governor="performance")

    def time(self, models: Sequence[bytes]) -> list[Timing]:
        timings = []
        for model in models:
            time_ms = len(model) * 1e-5 * self.drift(self.count)
            self.count += 1
            timings.append(Timing(time_ms, time_ms, 0.01, 11, 0.005))
        return timings

    def cool_down(self, attempt: int) -> None:
        self.pauses += 1
        self.count += 50


def measured(device: MadeUpDevice, tmp_path, tasks: Sequence[Task] = OPS) -> dict[Task, Measurement]:
    journal = MeasurementLog(tmp_path / f"{device.count}.partial", {})
    measure(device, tasks, Precision.FLOAT32, journal)
    journal.close()
    return journal.measurements


def true_ms(task: Task) -> float:
    model, copies = build_model(task, Precision.FLOAT32)
    return len(model) * 1e-5 / copies


def test_a_steady_device(tmp_path):
    device = MadeUpDevice()
    found = measured(device, tmp_path)
    assert device.pauses == 0
    assert {op: pytest.approx(entry.latency_ms) for op, entry in found.items()} == {op: true_ms(op) for op in OPS}


def test_slow_drift_is_divided_out(tmp_path):
    found = measured(MadeUpDevice(lambda count: 1 + 0.002 * count), tmp_path)
    scaled = estimates(found, References(tuple(true_ms(task) for task in REFERENCES)))
    errors = [scaled[op].latency_ms / true_ms(op) - 1 for op in OPS]
    assert max(map(abs, errors)) < 0.01


def test_a_sudden_slowdown_is_waited_for_and_measured_again(tmp_path):
    device = MadeUpDevice(lambda count: 1.6 if 10 <= count < 40 else 1.0)
    found = measured(device, tmp_path)
    assert device.pauses >= 1
    assert {op: pytest.approx(entry.latency_ms) for op, entry in found.items()} == {op: true_ms(op) for op in OPS}


def test_a_device_that_never_settles_is_told_by_the_spread(tmp_path):
    flips = itertools.cycle([1.0, 1.3, 1.7])
    found = measured(MadeUpDevice(lambda count: next(flips)), tmp_path)
    assert len(found) == len(OPS)
    assert np.mean([entry.deviation for entry in found.values()]) > 0.05


def test_the_undisturbed_level_ignores_slow_phases():
    levels = [1.0] * 5 + [1.5] * 15
    readings = [References((level, 2 * level, 3.0)) for level in levels]
    assert References.undisturbed(readings).times_ms == pytest.approx((1.0, 2.0, 3.0))


def test_a_task_is_followed_by_what_bounds_it():
    undisturbed = References((0.08, 0.09, 0.0003))
    slow_memory = References((0.08, 0.135, 0.0003))
    assert slow_memory.slowdown(MEMORY, undisturbed) == pytest.approx(1.5, rel=0.01)
    assert slow_memory.slowdown(COMPUTE, undisturbed) == pytest.approx(1.0)
    assert 1.0 < slow_memory.slowdown(reference("mobilenet_v3_large"), undisturbed) < 1.1
    slow_calls = References((0.08, 0.09, 0.0006))
    assert slow_calls.slowdown(LAUNCH, undisturbed) > 1.5 > 1.05 > slow_calls.slowdown(COMPUTE, undisturbed)
    slow_clock = References((0.1, 0.1125, 0.000375))
    for task in (LAUNCH, MEMORY, reference("mobilenet_v2")):
        assert slow_clock.slowdown(task, undisturbed) == pytest.approx(1.25)


def test_networks_are_spread_over_the_run(tiny):
    order = spread_out([*OPS[:4], tiny, reference("mobilenet_v2")])
    assert order == [OPS[0], tiny, *OPS[1:3], reference("mobilenet_v2"), OPS[3]]


def test_the_standard_deviation_is_that_of_the_figure_used():
    """The tenth percentile of n normal readings has 1.71 / sqrt(n) times the standard deviation of one."""
    rng = np.random.default_rng(0)
    timings = [Timing.of((1.0 + 0.01 * rng.standard_normal(400)).tolist()) for _ in range(200)]
    found = float(np.std([timing.undisturbed_ms for timing in timings]))
    assert found == pytest.approx(0.01 * 1.71 / 20, rel=0.15)
    assert np.mean([timing.undisturbed_error for timing in timings]) == pytest.approx(found, rel=0.15)


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "run.partial"

    def stop_in_the_third_batch(done: int, total: int, task: Task) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    journal = MeasurementLog(path, {"a": 1})
    with pytest.raises(KeyboardInterrupt):
        measure(MadeUpDevice(), OPS, Precision.FLOAT32, journal, stop_in_the_third_batch)
    journal.close()
    again = MeasurementLog(path, {"a": 1})
    assert len(again.measurements) == 8
    device = MadeUpDevice()
    measure(device, OPS, Precision.FLOAT32, again)
    again.close()
    assert set(again.measurements) == set(OPS)
    assert device.count == 16 + 2 * 4 * len(REFERENCES)  # the missing ones, and the references around each batch


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(0, 10_000))
def test_a_killed_run_keeps_every_whole_line(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("killed") / "run.partial"
    journal = MeasurementLog(path, {"a": 1})
    journal.append({op: Measurement(1.0, 0.1, 11, STEADY) for op in OPS})
    journal.close()
    content = path.read_bytes()
    path.write_bytes(content[: cut % len(content)])
    again = MeasurementLog(path, {"a": 1})
    assert len(again.measurements) == max(content[: cut % len(content)].count(b"\n") - 1, 0)
    again.append({OPS[0]: Measurement(2.0, 0.1, 11, STEADY)})
    again.close()
    assert MeasurementLog(path, {"a": 1}).measurements[OPS[0]].latency_ms == 2.0


def test_other_conditions_are_not_continued(tmp_path):
    MeasurementLog(tmp_path / "run.partial", {"threads": 1}).close()
    with pytest.raises(UserError, match="threads: 1 then, 4 now"):
        MeasurementLog(tmp_path / "run.partial", {"threads": 4})


LINE = {"task": task_key(OPS[0]), "latency_ms": 1.0, "deviation": 0.0, "runs": 1, "references_ms": [1.0] * 3}


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        json.dumps(LINE | {"latency_ms": -1.0}),
        json.dumps(LINE | {"latency_ms": float("nan")}),
        json.dumps(LINE | {"references_ms": [1.0, 1.0, 0.0]}),
        json.dumps(LINE | {"references_ms": [1.0]}),
        json.dumps(LINE | {"references_ms": "111"}),
        json.dumps(LINE | {"runs": "many"}),
        json.dumps(LINE | {"task": ["op", "conv", 14]}),
        json.dumps(LINE | {"task": ["op", "teleport", 1, 1, 1, 1, 1]}),
        json.dumps(LINE | {"task": ["network", "r224,nonsense"]}),
        json.dumps(LINE | {"unknown": 1}),
    ],
)
def test_damaged_journals_are_refused_with_the_line(tmp_path, line):
    path = tmp_path / "run.partial"
    MeasurementLog(path, {}).close()
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(UserError, match="line 2"):
        MeasurementLog(path, {})


def test_tasks_survive_json(tiny):
    for task in (*OPS, replace(OPS[0], kernel=3, dilation=2), tiny):
        assert task_of(json.loads(json.dumps(task_key(task)))) == task


def test_tables_predict_networks_that_run_slower_than_their_ops(tmp_path):
    """The made-up networks take 1.2 times the sum of their ops; the table's scale finds that out."""
    networks = list(random_networks("proxylessnas", 24, seed=0).values())
    ops = list({op for network in networks for layer in network.ops() for op in layer.ops})
    entries = {op: Measurement(1e-3 + op.madds * 1e-7, 0.01, 11, STEADY) for op in ops}
    wholes = {
        network: Measurement(
            1.2 * sum(entries[op].latency_ms for layer in network.ops() for op in layer.ops), 0.01, 11, STEADY
        )
        for network in networks
    }
    fitted = dict(list(wholes.items())[:16])
    table = assemble(entries | fitted, FACTS, Conditions(), Precision.FLOAT32, 224)
    for network in networks[16:]:
        assert predict(table, network).latency_ms == pytest.approx(wholes[network].latency_ms, rel=0.01)
    made = table.provenance
    assert made.points_used == 16 and made.left_out_error_pct < 1 and made.interval_pct < 1
    assert References.of_conditions(made.conditions) == STEADY


def test_a_device_that_drifted_has_wider_intervals(tmp_path):
    networks = list(random_networks("proxylessnas", 16, seed=0).values())
    ops = list({op for network in networks for layer in network.ops() for op in layer.ops})
    entries = {op: Measurement(1e-3 + op.madds * 1e-7, 0.01, 11, STEADY) for op in ops}
    for drift in (0.0, 0.05):
        wholes = {}
        for number, network in enumerate(networks):
            factor = 1 + drift * (number % 2)
            total_ms = sum(entries[op].latency_ms for layer in network.ops() for op in layer.ops)
            wholes[network] = Measurement(factor * total_ms, 0.01, 11, References((factor,) * len(REFERENCES)))
        made = assemble(entries | wholes, FACTS, Conditions(), Precision.FLOAT32, 224).provenance
        assert made.left_out_error_pct < 0.1
        assert made.interval_pct == pytest.approx(164.5 * np.log(1 + drift) / 2, abs=0.1)


def test_nothing_measured_is_no_table():
    with pytest.raises(UserError, match="no op was measured"):
        assemble(
            {reference("mobilenet_v3_small"): Measurement(1, 0, 1, STEADY)}, FACTS, Conditions(), Precision.FLOAT32, 224
        )
