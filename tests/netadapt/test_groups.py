"""Groups of coupled widths: complete, shrinking as one, never changing a network's structure."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netadapt import find_group, groups
from netadapt.groups import Part
from netadapt.proposals import Widths
from netadapt.widths import resized, structural_widths
from searchspace.architecture import Architecture, InvertedResidual
from searchspace.reference import reference
from searchspace.support.errors import UserError
from searchspace.text import parse

NETWORKS = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "mnasnet_a1", "mobilenext")
ALL = Widths(parts=frozenset(Part))


@pytest.mark.parametrize(
    ("network", "expansions", "bottlenecks"),
    [("mobilenet_v2", 16, 6), ("mobilenet_v3_large", 14, 5), ("mnasnet_a1", 15, 6), ("mobilenet_v1", 0, 12)],
)
def test_published_networks_have_the_groups_their_shortcuts_make(
    network: str, expansions: int, bottlenecks: int
) -> None:
    parts = [group.part for group in groups(reference(network))]
    assert (parts.count(Part.EXPANSION), parts.count(Part.BOTTLENECK)) == (expansions, bottlenecks)


def test_a_residual_chain_is_one_group_and_prints_what_follows() -> None:
    group = find_group(reference("mnasnet_a1"), "block4-6 bottleneck")
    assert str(group).splitlines() == [
        "block4-6 bottleneck: 40 channels",
        "  written by  block4 projection, block5 projection, block6 projection",
        "  followed by block5 expansion input, block5 shortcut, block6 expansion input, block6 shortcut, "
        "block7 expansion input",
    ]


def test_squeeze_excite_and_depthwise_follow_an_expansion() -> None:
    group = find_group(reference("mobilenet_v3_large"), "block4 expansion")
    assert group.read == ("block4 depthwise 5x5", "block4 squeeze-excite (24 inside)", "block4 projection input")


def test_a_block_without_expansion_ties_the_stem_to_its_depthwise_width() -> None:
    """MobileNetV3-Large: stem, first depthwise and, through the shortcut, the first projection are one width."""
    group = groups(reference("mobilenet_v3_large"))[0]
    assert group.name == "stem" and group.written == ("stem", "block1 projection")
    smaller = resized(reference("mobilenet_v3_large"), {group: 8})
    assert (smaller.stem.out, smaller.blocks[0].out, getattr(smaller.blocks[0], "hidden", None)) == (8, 8, 8)


def test_sandglass_has_narrow_middles_and_wide_ends() -> None:
    names = [group.name for group in groups(reference("mobilenext"))]
    assert "block4 middle" in names and "block3-5 wide ends" in names


def test_an_unknown_group_is_refused_with_the_known_names() -> None:
    with pytest.raises(UserError, match="no group 'block99': it has stem, block1"):
        find_group(reference("mobilenet_v2"), "block99")


def test_equal_shapes_make_no_new_shortcut() -> None:
    """Block 7 of MobileNetV1-like inverted residuals: 32 > 24 channels meets the 24 of the block before."""
    network = parse("r32,stem_k3_s2_c16_re,ir_k3_s1_h64_c24_re,ir_k3_s1_h96_c32_re,head_c64_re,n10")
    smaller = resized(network, {find_group(network, "block2 bottleneck"): 24})
    block = smaller.blocks[1]
    assert block.out == 24 and isinstance(block, InvertedResidual) and block.identity == Fraction(0)
    assert list(smaller.placed_blocks())[1].shortcut_channels == 0
    assert parse(str(smaller)) == smaller


def test_an_expansion_never_meets_its_input() -> None:
    network = parse("r32,stem_k3_s2_c16_re,ir_k3_s1_h64_c24_re,head_c64_re,n10")
    group = find_group(network, "block1 expansion")
    assert 16 not in Widths().candidates(tuple(network.placed_blocks()), group)
    with pytest.raises(UserError, match="expansion would vanish"):
        resized(network, {group: 16})


@pytest.mark.parametrize(
    ("network", "name", "width", "squeeze"),
    [
        ("mobilenet_v3_large", "block12 expansion", 336, 88),  # a quarter of the expansion, rounded to 8
        ("mnasnet_a1", "block12 expansion", 336, 28),  # a quarter of the block's input, which stays
        ("mnasnet_a1", "block11-12 bottleneck", 64, 16),  # and which shrinks here
    ],
)
def test_squeeze_excite_follows_the_rule_of_its_paper(network: str, name: str, width: int, squeeze: int) -> None:
    architecture = reference(network)
    smaller = resized(architecture, {find_group(architecture, name): width})
    assert getattr(smaller.blocks[11], "squeeze", None) == squeeze


def _shape(architecture: Architecture) -> list[tuple[object, ...]]:
    """Everything that slimming must leave alone: kinds, kernels, strides, which shortcuts and expansions exist."""
    return [
        (
            type(placed.block).__name__,
            placed.block.kernel,
            placed.block.stride,
            placed.shortcut_channels > 0,
            isinstance(placed.block, InvertedResidual) and placed.block.hidden == placed.in_channels,
            getattr(placed.block, "squeeze", 0) > 0,
        )
        for placed in architecture.placed_blocks()
    ]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_sequence_of_allowed_widths_keeps_the_structure(data: st.DataObject) -> None:
    seed = architecture = reference(data.draw(st.sampled_from(NETWORKS)))
    for _ in range(data.draw(st.integers(1, 6))):
        group = data.draw(st.sampled_from(ALL.groups(architecture)))
        width = data.draw(st.sampled_from(ALL.candidates(tuple(architecture.placed_blocks()), group)))
        smaller = resized(architecture, {group: width})
        changed = {
            after.name: after.width
            for before, after in zip(groups(architecture), groups(smaller), strict=True)
            if before.width != after.width
        }
        assert changed == {group.name: width}
        architecture = smaller
    assert _shape(architecture) == _shape(seed)
    assert architecture.madds < seed.madds and architecture.params < seed.params
    assert parse(str(architecture)) == architecture


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_exactly_the_structural_widths_are_refused(data: st.DataObject) -> None:
    architecture = reference(data.draw(st.sampled_from(NETWORKS)))
    group = data.draw(st.sampled_from(groups(architecture)))
    width = data.draw(st.integers(1, group.width - 1))
    refused = width in structural_widths(tuple(architecture.placed_blocks()), group)
    if refused:
        with pytest.raises(UserError, match=r"would vanish|nothing is left"):
            resized(architecture, {group: width})
    else:
        assert _shape(resized(architecture, {group: width})) == _shape(architecture)
