"""Every block family through the conformance tests, and families that do not exist through the refusals."""

from __future__ import annotations

from typing import Any, ClassVar

from searchspace.testing import BlockConformance


class TestInvertedResidual(BlockConformance):
    examples = (
        "ir_k3_s1_h48_c16_re",
        "ir_k5_s2_h48_c24_hs_se16",
        "ir_k3_s1_h16_c16_r6",
        "ir_k3_s1_h16_c24_re_x",
        "ir_k3_s1_h64_c16_re_sl4_id1/2",
    )
    options: ClassVar[dict[str, Any]] = {"kernel": [3, 5], "ratio": [1, 2, 4], "squeeze": ["none", "hard"]}


class TestSandglass(BlockConformance):
    examples = ("sg_k3_s1_h8_c16_r6", "sg_k5_s2_h8_c24_hs_last", "sg_k3_s1_h16_c32_re_nodw", "sg_k3_s1_h8_c16_re_se8")
    options: ClassVar[dict[str, Any]] = {"kernel": [3, 5], "ratio": [2, 4], "depthwise": "both"}


class TestSeparable(BlockConformance):
    examples = ("ds_k3_s1_c16_re", "ds_k5_s2_c24_hs")
    options: ClassVar[dict[str, Any]] = {"kernel": [3, 5]}


class TestConv(BlockConformance):
    examples = ("cn_k3_s1_c16_re", "cn_k1_s2_c24_hs", "cn_k3_s1_c16_re_id1/2")
    options: ClassVar[dict[str, Any]] = {"kernel": [3, 5]}
