"""The compact text and the YAML form: total readers that give back what was written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchspace import UserError, load_architecture, parse, reference, resolve_network, save_architecture
from tests.searchspace.strategies import architectures

SMALL = "r32,stem_k3_s2_c8_re,ir_k3_s1_h16_c8_re_se8,head_c32_re,n10"


@given(architectures)
def test_parse_gives_back_what_was_printed(architecture):
    assert parse(str(architecture)) == architecture


@given(architectures)
def test_text_and_hash_agree_with_equality(architecture):
    again = parse(str(architecture))
    assert hash(again) == hash(architecture)
    assert str(again) == str(architecture)


@given(st.text(alphabet="rkschnidelo_/,0123456789 \n-.", max_size=80))
def test_any_text_is_read_or_refused(text):
    try:
        network = parse(text)
    except UserError:
        return
    assert parse(str(network)) == network


@given(st.integers(0, len(SMALL) - 1), st.characters(max_codepoint=0x2FF))
def test_one_changed_letter_is_refused_or_means_what_it_says(position, letter):
    changed = SMALL[:position] + letter + SMALL[position + 1 :]
    try:
        network = parse(changed)
    except UserError:
        return
    assert str(network) == ",".join(token.strip() for token in changed.strip().split(","))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (SMALL.replace("ir_", "xx_"), "block 1"),
        (SMALL.replace("_h16", "_h0"), "block 1.*hidden channels is 0"),
        (SMALL.replace("_k3_s1", "_k4_s1"), "block 1.*kernel is 4"),
        (SMALL.replace("_k3_s1", "_k3_s3"), "block 1.*stride is 3"),
        (SMALL.replace("_c8_re_se8", "_c99999_re"), "block 1.*output channels is 99999"),
        (SMALL.replace("_se8", "_se08"), "block 1"),
        (SMALL.replace("_se8", "_id3/2"), "block 1.*identity share is 3/2"),
        (SMALL.replace("_se8", "_id2/4"), "canonical spelling.*id1/2"),
        (SMALL.replace("_se8", "_id1/0"), "block 1"),
        (SMALL.replace("stem_k3", "stem_k03"), "stem"),
        (SMALL.replace("head_c32", "head_c0"), "head"),
        (SMALL.replace("r32", "r0"), "resolution is 0"),
        (SMALL.replace("n10", "n0"), "classes is 0"),
        ("r32,stem_k3_s2_c8_re,head_c32_re,n10", "expected resolution, stem, blocks"),
        (SMALL.replace("ir_k3_s1_h16_c8_re_se8", "sg_k3_s2_h4_c8_re_nodw"), "block 1.*no depthwise"),
    ],
)
def test_broken_text_names_the_place(text, place):
    with pytest.raises(UserError, match=place):
        parse(text)


def test_digits_of_other_scripts_are_refused():
    with pytest.raises(UserError):
        parse(SMALL.replace("n10", "n١٠"))


@given(architectures)
def test_yaml_gives_back_what_was_written(tmp_path_factory, architecture):
    path = tmp_path_factory.mktemp("yaml") / "architecture.yaml"
    save_architecture(architecture, path, name="drawn")
    assert load_architecture(path) == architecture


GOOD_YAML = """format: architecture/1
resolution: 32
stem: stem_k3_s2_c8_re
blocks:
- ir_k3_s1_h16_c8_re
head: head_c32_re
classes: 10
"""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD_YAML.replace("architecture/1", "architecture/9"), "format is 'architecture/9'"),
        (GOOD_YAML.replace("resolution: 32", "resolution: yes"), "resolution is 'True', expected a int"),
        (GOOD_YAML.replace("ir_k3", "ir_k4"), "block 1.*kernel is 4"),
        (GOOD_YAML.replace("classes: 10", "klasses: 10"), "lacks classes"),
        (GOOD_YAML + "extra: 1\n", "unknown entry extra"),
        (GOOD_YAML[:60], "lacks"),
        (GOOD_YAML.replace("blocks:", "blocks: [").replace("head:", "head"), "line"),
        ("!!python/object/apply:os.system ['true']\n", "the YAML tag"),
        ("a: &a [x]\nb: *a\n", "aliases are not accepted"),
        ("- 1\n- 2\n", "expected a mapping"),
        ("", "expected a mapping"),
        ("a: " + "[" * 100_000, "nests more than"),
    ],
)
def test_bad_yaml_is_refused_with_the_file_named(tmp_path, content, message):
    path = tmp_path / "network.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        load_architecture(path)
    assert str(path) in str(caught.value)


def test_a_network_is_found_by_name_text_file_and_run_folder(tmp_path):
    network = reference("mobilenet_v3_small")
    save_architecture(network, tmp_path / "architecture.yaml")
    for spelling in ("mobilenet_v3_small", str(network), str(tmp_path), str(tmp_path / "architecture.yaml")):
        assert resolve_network(spelling) == network


@pytest.mark.parametrize("spelling", ["nowhere/network.yaml", "missing.yaml", "some/folder"])
def test_missing_files_are_named(spelling):
    with pytest.raises(UserError, match=spelling):
        resolve_network(spelling)


def test_an_unfinished_run_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"without architecture\.yaml"):
        resolve_network(str(tmp_path))
