"""The largest and the smallest network are exact."""

import pytest

from searchspace.extremes import largest, smallest
from searchspace.space import load_space


@pytest.mark.parametrize(
    ("name", "smallest_madds", "largest_madds"),
    [
        ("macro", 7_713_280, 105_660_928),
        ("mobile", 30_304_200, 1_359_723_360),
        ("mobilenetv3", 121_278_672, 566_170_656),
        ("mobilenext", 191_240_064, 664_550_272),
        ("proxylessnas", 108_869_888, 693_483_008),
        ("mnasnet", 49_306_664, 2_204_182_016),
    ],
)
def test_extremes_of_every_shipped_space(name, smallest_madds, largest_madds):
    """One choice at a time stops at 1,207 M in `mobile`."""
    space = load_space(name)
    assert space.decode(smallest(space)).madds == smallest_madds
    assert space.decode(largest(space)).madds == largest_madds


ENTANGLED = """
format: space/1
name: entangled
resolution: [32, 64]
stem: stem_k3_s2_c8_re
head: head_c32_re
stages:
  - name: one
    stride: 2
    depth: [1, 2]
    options:
      inverted: {width: [8, 16], ratio: 4}
      sandglass: {width: 64, ratio: 4, depthwise: both}
  - {name: two, block: inverted, stride: 1, width: [24, 48], kernel: [3, 5], ratio: [1, 4]}
"""


def test_extremes_are_those_of_the_enumeration(tmp_path):
    (tmp_path / "space.yaml").write_text(ENTANGLED)
    space = load_space(tmp_path / "space.yaml")
    every = [space.decode(genotype).madds for genotype in space.enumerate()]
    assert space.decode(largest(space)).madds == max(every)
    assert space.decode(smallest(space)).madds == min(every)
