"""Whether an inverted residual expands is said by the block, not by two widths that happen to be equal."""

from __future__ import annotations

import numpy as np
import pytest

from searchspace import InvertedResidual, UserError, parse
from searchspace.modules import build_network
from searchspace.space import load_space
from searchspace.widths import scale_width

_PLAIN = "r32,stem_k3_s2_c16_re,ir_k3_s1_h16_c16_re,head_re,n10"
_EXPANDING = "r32,stem_k3_s2_c16_re,ir_k3_s1_h16_c16_re_x,head_re,n10"


def test_an_expansion_to_the_width_of_the_input_is_spelled_and_counted():
    plain, expanding = parse(_PLAIN), parse(_EXPANDING)
    assert str(plain) == _PLAIN and str(expanding) == _EXPANDING
    assert expanding.params - plain.params == 16 * 16 + 2 * 16
    assert expanding.madds - plain.madds == 16 * 16 * 16 * 16
    modules = dict(build_network(expanding, seed=0).named_modules())
    assert "blocks.0.expand" in modules
    assert "blocks.0.expand" not in dict(build_network(plain, seed=0).named_modules())


def test_one_network_has_one_spelling():
    with pytest.raises(UserError, match=r"block 1 is ir_k3_s1_h32_c16_re_x.* spelled ir_k3_s1_h32_c16_re"):
        parse(_EXPANDING.replace("h16", "h32"))


def test_scaling_the_width_keeps_what_a_block_is():
    from fractions import Fraction

    assert "ir_k3_s1_h8_c8_re_x" in str(scale_width(parse(_EXPANDING), Fraction(1, 2)))
    assert "ir_k3_s1_h8_c8_re," in str(scale_width(parse(_PLAIN), Fraction(1, 2)))


def test_ratio_6_expands_behind_every_width():
    """240 channels enter the second stage of `mobile` from a wide sandglass; 40 x 6 is 240 as well."""
    space = load_space("mobile")
    met = 0
    for genotype in space.sample(np.random.default_rng(0), 2000):
        architecture = space.decode(genotype)
        for placed in tuple(architecture.placed_blocks())[1:]:
            block = placed.block
            if isinstance(block, InvertedResidual):
                assert placed.wiring[0].name == "expand"
                met += block.hidden == placed.in_channels
        if "_x" in str(architecture):
            assert (space.decode(space.encode(architecture)).params) == architecture.params
    assert met > 50
