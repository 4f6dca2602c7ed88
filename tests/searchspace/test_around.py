"""The space around a network holds it, for every reference network, and stands in a file as it does in code."""

from pathlib import Path

import numpy as np
import pytest

from searchspace.around import space_around
from searchspace.blocks import Padding
from searchspace.reference import reference, reference_names
from searchspace.space import SearchSpace, load_space, space_text
from searchspace.space_file import load_spec
from searchspace.support.errors import UserError
from searchspace.text import parse


@pytest.mark.parametrize("name", reference_names())
def test_network_is_in_the_space_around_it(name: str) -> None:
    assert reference(name) in load_space(f"around:{name}")


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_large", "mobilenext_0.75", "mobilenet_v4_conv_small"])
def test_printed_file_is_the_space(name: str, tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(space_text(f"around:{name}"))
    assert load_spec(file) == load_space(f"around:{name}").spec


def test_choices_around_mobilenet_v2() -> None:
    space = load_space("around:mobilenet_v2@96")
    assert space.spec.resolutions == (96,)
    values = {choice.path: choice.values for choice in space.choices}
    assert values["stage4/width"] == (32, 40, 48, 56, 64)
    assert values["stage4/depth"] == (1, 2, 3, 4)
    assert values["stage4/layer3/kernel"] == (3, 5)
    assert values["stage4/layer3/ratio"] == (2, 3, 4, 6)
    assert "stage1/ratio" not in values  # a block that does not expand has nothing to lose


def test_members_are_no_wider_and_gain_no_shortcut() -> None:
    network = reference("mobilenet_v2")
    space = SearchSpace(space_around(network, "around"))
    for genotype in space.sample(np.random.default_rng(0), 100):
        member = space.decode(genotype)
        assert len(member.blocks) <= len(network.blocks)
        first_of_stage5 = sum(space.plans[k].depth(genotype.tolist().__getitem__) for k in range(4))
        assert list(member.placed_blocks())[first_of_stage5].shortcut_channels == 0


def test_blocks_that_no_option_says_stay_as_they_are() -> None:
    # 30 hidden channels are no multiple of 8, which every ratio is rounded to.
    network = parse("r96,stem_k3_s2_c16_re,ir_k3_s2_h30_c24_re,ir_k3_s1_h96_c24_re,head_c64_re,n10")
    space = SearchSpace(space_around(network, "around"))
    assert network in space
    assert [bool(stage.fixed) for stage in space.spec.stages] == [True, False]
    assert len({space.decode(g).blocks[0] for g in space.sample(np.random.default_rng(0), 20)}) == 1


@pytest.mark.parametrize("text", ["around:", "around:nothing_known", "around:mobilenet_v2@0"])
def test_what_names_no_network_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        load_space(text)


def test_padding_on_both_sides_is_refused() -> None:
    with pytest.raises(UserError, match="padded on both sides"):
        space_around(reference("mobilenet_v2").with_padding(Padding.SYMMETRIC), "around")
