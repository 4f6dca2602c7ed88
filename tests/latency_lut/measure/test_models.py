"""Built TFLite models run, and are what a real conversion makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from latency_lut.measure import litert
from latency_lut.measure.models import MAX_COPIES, copies_of, network_model, op_model
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
]


def operators(content: bytes) -> list[tuple[str, list[tuple[int, ...]], tuple[int, ...]]]:
    """Return name, shapes of the inputs and shape of the output of every operator in a file."""
    from ai_edge_litert import schema_py_generated as schema

    names: dict[int, str] = {value: name for name, value in vars(schema.BuiltinOperator).items() if type(value) is int}
    model: Any = schema.ModelT.InitFromPackedBuf(content, 0)
    (graph,) = model.subgraphs

    def shape(index: int) -> tuple[int, ...]:
        return tuple(int(length) for length in graph.tensors[index].shape)

    return [
        (
            names[model.operatorCodes[operator.opcodeIndex].builtinCode],
            [shape(index) for index in operator.inputs if index >= 0],
            shape(operator.outputs[0]),
        )
        for operator in graph.operators
    ]


@pytest.mark.parametrize("op", OPS, ids=str)
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_ops_run_with_their_shapes(op, precision):
    content = op_model(op, copies=2)
    if precision == "int8":
        content = litert.quantise_int8(content)
    interpreter = litert.load(content)
    litert.fill_inputs(interpreter)
    interpreter.invoke()
    details = interpreter.get_output_details()
    assert all(detail["dtype"].__name__ == precision for detail in details)
    last = tuple(details[-1]["shape"])
    assert last == (1, op.out_size, op.out_size, op.out_channels)


def test_xnnpack_runs_all_of_a_float_network():
    interpreter = litert.load(network_model(reference("mobilenet_v3_small@32")))
    assert litert.delegated_partitions(interpreter) == 1


def test_copies_make_small_ops_long_enough_to_time():
    assert copies_of(Op(OpKind.ADD, 7, 8, 8)) == MAX_COPIES
    assert copies_of(Op(OpKind.CONV, 112, 32, 64)) == 1
    assert copies_of(Op(OpKind.LINEAR, 1, 1280, 1000)) > 1


@pytest.mark.parametrize("space", ["mobile", "mobilenetv3", "mnasnet", "mobilenext", "macro"])
def test_networks_of_every_space_run(space):
    space = load_space(space)
    for genotype in space.sample(np.random.default_rng(0), 2):
        architecture = space.decode(genotype).with_resolution(64)
        interpreter = litert.load(network_model(architecture))
        interpreter.invoke()
        (detail,) = interpreter.get_output_details()
        assert tuple(detail["shape"]) == (1, architecture.classes)


def test_built_networks_are_what_a_conversion_makes(tiny, converted):
    built, real = operators(network_model(tiny)), operators(converted.read_bytes())
    assert [name for name, _, _ in built] == [name for name, _, _ in real]
    for ours, theirs in zip(built, real, strict=True):
        assert ours[2] == theirs[2]  # shapes of what every operator computes
        assert sorted(ours[1]) == sorted(theirs[1])
