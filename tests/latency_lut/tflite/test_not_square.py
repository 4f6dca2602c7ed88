"""Operations that are wider than high: counts, modules, exported files, timing models, and tables that refuse them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from latency_lut.devices import load_device
from latency_lut.errors import UnmeasuredOp
from latency_lut.estimate import Estimate
from latency_lut.measure.backend import task_key, task_of
from latency_lut.measure.models import op_model
from latency_lut.table import LatencyTable
from latency_lut.tflite import module_model
from latency_lut.tflite.ops import found_ops
from latency_lut.tflite.read import read_graph
from latency_lut.tflite.runtime import run
from searchspace.cells.modules import build_operation
from searchspace.cells.primitives import PRIMITIVES
from searchspace.ops import Op, OpKind
from searchspace.support.errors import UserError

CONVOLUTIONS = (OpKind.CONV, OpKind.DWCONV)
ROWS = Op(OpKind.CONV, 16, 8, 8, 1, 1, kernel_width=7, stride_width=2)
COLUMNS = Op(OpKind.CONV, 16, 8, 8, 7, 2, in_width=8, kernel_width=1, stride_width=1)


def madds_of(module: nn.Module, size: int) -> int:
    """Count the multiply-adds of the convolutions that a module runs."""
    counted = []

    def count(conv, _, out):
        counted.append(out[0].numel() * conv.weight[0].numel())

    for conv in (one for one in module.modules() if isinstance(one, nn.Conv2d)):
        conv.register_forward_hook(count)
    with torch.no_grad():
        module(torch.randn(1, 8, size, size))
    return sum(counted)


def test_the_crossed_convolution_is_the_one_of_darts_code():
    assert PRIMITIVES["conv_7x1_1x7"].ops(16, 8, 2) == (Op(OpKind.RELU, 16, 8, 8), ROWS, COLUMNS)
    assert (str(ROWS), str(COLUMNS)) == ("conv 16x16 8 k1x7 s1x2", "conv 16x8 8 k7x1 s2x1")
    assert ROWS.out_shape == (16, 8) and COLUMNS.out_shape == (8, 8)
    assert (ROWS.madds, COLUMNS.madds) == (16 * 8 * 7 * 64, 8 * 8 * 7 * 64)
    assert ROWS.params == COLUMNS.params == 7 * 64 + 16


def test_a_width_that_equals_the_height_is_none():
    assert Op(OpKind.CONV, 16, 8, 8, 3, 2, 1, 16, 3, 2) == Op(OpKind.CONV, 16, 8, 8, 3, 2)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [13, 16])
def test_counts_are_those_of_the_built_module(size, stride):
    primitive, module = PRIMITIVES["conv_7x1_1x7"], build_operation("conv_7x1_1x7", 8, stride)
    assert sum(p.numel() for p in module.parameters()) == primitive.params(8, stride)
    assert madds_of(module, size) == sum(op.madds for op in primitive.ops(size, 8, stride))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [13, 16])
def test_the_exported_file_computes_and_holds_the_same(size, stride):
    module = build_operation("conv_7x1_1x7", 8, stride).eval()
    content = module_model(module, (1, 8, size, size))
    images = torch.randn(2, 8, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = module(images).permute(0, 2, 3, 1).numpy()
    assert np.allclose(run(content, images.permute(0, 2, 3, 1).numpy()), expected, atol=1e-5)
    found = [op for _, op in found_ops(read_graph(content)).ops]
    assert [op for op in found if op.kind in CONVOLUTIONS] == [
        op for op in PRIMITIVES["conv_7x1_1x7"].ops(size, 8, stride) if op.kind in CONVOLUTIONS
    ]
    padding = [Op(OpKind.PAD, 16, 8, 8, 1, kernel_width=7), Op(OpKind.PAD, 16, 8, 8, 7, in_width=8, kernel_width=1)]
    assert [op for op in found if op.kind is OpKind.PAD] == (padding if (size, stride) == (16, 2) else [])


def test_pooling_that_is_not_square_is_exported_as_it_is():
    module = nn.MaxPool2d((3, 1), (2, 1), (1, 0))
    images = torch.randn(1, 4, 9, 6)
    content = module_model(module, (1, 4, 9, 6))
    assert np.array_equal(run(content, images.permute(0, 2, 3, 1).numpy()), module(images).permute(0, 2, 3, 1).numpy())


@pytest.mark.parametrize("op", [ROWS, COLUMNS], ids=str)
def test_a_timing_model_holds_the_op(op):
    assert [found for _, found in found_ops(read_graph(op_model(op))).ops] == [op]
    assert task_of(task_key(op)) == op


def test_a_table_refuses_what_is_not_square_by_name():
    table = load_device("pixel")
    for allowed in (False, True):
        with pytest.raises(UnmeasuredOp, match=r"conv 16x16 8 k1x7 s1x2 .*not square is not measured"):
            table.entry(ROWS, allowed)
    with pytest.raises(UserError, match="only square ops fit"):
        LatencyTable(table.provenance, {ROWS: Estimate(1.0, 0.1)})


def test_a_table_of_rates_prices_it_by_its_work_and_flags_it():
    table = load_device("pixel6_int8")
    with pytest.raises(UnmeasuredOp):
        table.entry(ROWS)
    priced = table.entry(ROWS, True)
    assert priced.extrapolated and 0 < priced.latency_ms < table.entry(Op(OpKind.CONV, 16, 8, 8, 7), True).latency_ms
