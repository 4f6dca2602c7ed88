"""MobileNetV4's two blocks: the conformance tests, and counts of published blocks."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from searchspace import UserError
from searchspace.blocks import PlacedBlock, block_ops
from searchspace.testing import BlockConformance
from searchspace.text import parse_block


class TestUniversalInvertedBottleneck(BlockConformance):
    examples = (
        "ub_k0_m3_s1_h48_c16_re",
        "ub_k3_m0_s1_h64_c16_re",
        "ub_k5_m3_s2_h48_c24_re",
        "ub_k3_m0_s2_h48_c24_hs",
        "ub_k0_m0_s1_h16_c16_re",
        "ub_k3_m5_s1_h32_c16_re_id1/2",
    )
    options: ClassVar[dict[str, Any]] = {"start_kernel": [0, 3, 5], "middle_kernel": [0, 3, 5], "ratio": [1, 2, 4]}


class TestFusedInvertedBottleneck(BlockConformance):
    examples = ("fb_k3_s1_h48_c16_re", "fb_k5_s2_h64_c24_hs", "fb_k3_s1_h16_c16_re_id1/2")
    options: ClassVar[dict[str, Any]] = {"kernel": [3, 5], "ratio": [1, 2, 4]}


@pytest.mark.parametrize(
    ("token", "size", "channels", "params", "madds"),
    [  # blocks of MobileNetV4-Conv-S and -M
        ("ub_k5_m5_s2_h192_c96_re", 28, 64, 38_208, 15_441_664),
        ("ub_k0_m3_s1_h192_c96_re", 14, 96, 39_552, 7_564_032),
        ("ub_k3_m0_s1_h384_c96_re", 14, 96, 75_744, 14_620_032),
        ("ub_k0_m0_s1_h320_c160_re", 16, 160, 103_360, 26_214_400),
        ("fb_k3_s2_h128_c48_re", 128, 32, 43_360, 176_160_768),
    ],
)
def test_published_blocks(token: str, size: int, channels: int, params: int, madds: int) -> None:
    ops = block_ops(PlacedBlock(parse_block(token), size, channels))
    assert (sum(op.params for op in ops), sum(op.madds for op in ops)) == (params, madds)


def test_a_stride_needs_a_depthwise_convolution() -> None:
    with pytest.raises(UserError, match="no depthwise convolution to take it"):
        parse_block("ub_k0_m0_s2_h64_c24_re")
