"""Models to time run, with the shapes of their ops."""

from __future__ import annotations

import numpy as np
import pytest

from latency_lut.measure.models import MAX_COPIES, copies_of, network_model, op_model
from latency_lut.tflite.quantise import quantise_int8
from latency_lut.tflite.runtime import delegated_partitions, fill_inputs, load
from searchspace import Op, OpKind, reference
from searchspace.space import load_space

OPS = [
    Op(OpKind.CONV, 9, 3, 8, 3, 2),
    Op(OpKind.CONV, 8, 8, 24),
    Op(OpKind.DWCONV, 8, 16, 16, 5, 2),
    Op(OpKind.DWCONV, 7, 8, 8, 7, 1),
    Op(OpKind.LINEAR, 1, 24, 8),
    Op(OpKind.POOL, 7, 24, 24),
    Op(OpKind.ADD, 8, 8, 8),
    Op(OpKind.CONCAT, 8, 9, 9),
    Op(OpKind.SCALE, 8, 16, 16),
    Op(OpKind.SIGMOID, 1, 16, 16),
    Op(OpKind.HSWISH, 8, 16, 16),
    Op(OpKind.RELU, 8, 16, 16),
    Op(OpKind.MAXPOOL, 8, 16, 16, 3, 2),
    Op(OpKind.AVGPOOL, 8, 16, 16, 3, 1),
    Op(OpKind.DWCONV, 9, 16, 16, 3, 1, 2),
    Op(OpKind.RESIZE, 4, 16, 16, stride=2),
]


@pytest.mark.parametrize("op", OPS, ids=str)
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_ops_run_with_their_shapes(op, precision):
    content = op_model(op, copies=2)
    if precision == "int8":
        content = quantise_int8(content)
    interpreter = load(content)
    fill_inputs(interpreter)
    interpreter.invoke()
    details = interpreter.get_output_details()
    assert all(detail["dtype"].__name__ == precision for detail in details)
    last = tuple(details[-1]["shape"])
    assert last == (1, op.out_size, op.out_size, op.out_channels)


def test_xnnpack_runs_all_of_a_float_network():
    interpreter = load(network_model(reference("mobilenet_v3_small@32")))
    assert delegated_partitions(interpreter) == 1


def test_copies_make_small_ops_long_enough_to_time():
    assert copies_of(Op(OpKind.ADD, 7, 8, 8)) == MAX_COPIES
    assert copies_of(Op(OpKind.CONV, 112, 32, 64)) == 1
    assert copies_of(Op(OpKind.LINEAR, 1, 1280, 1000)) > 1


@pytest.mark.parametrize("space", ["mobile", "mobilenetv3", "mnasnet", "mobilenext", "macro"])
def test_networks_of_every_space_run(space):
    space = load_space(space)
    for genotype in space.sample(np.random.default_rng(0), 2):
        architecture = space.decode(genotype).with_resolution(64)
        interpreter = load(network_model(architecture))
        interpreter.invoke()
        (detail,) = interpreter.get_output_details()
        assert tuple(detail["shape"]) == (1, architecture.classes)
