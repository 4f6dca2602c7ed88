"""Every space: genotypes and architectures go back and forth, counts are exact, published networks are members."""

import csv
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searchspace import UserError, parse, reference
from searchspace.choices import Choice, ChoiceSet, Condition
from searchspace.extremes import largest, smallest
from searchspace.space import load_space, space_names

SPACES = {name: load_space(name) for name in space_names()}
seeds = st.integers(0, 2**32 - 1)
names = st.sampled_from(sorted(SPACES))

SMALL = """
format: space/1
name: small
resolution: [96, 128]
stem: stem_k3_s2_c16_hs
head: head_c960_h1280_hs
per_layer: [kernel, ratio, identity]
stages:
  - {name: first, blocks: [ir_k3_s1_h16_c16_re]}
  - {name: stage1, block: inverted, width: 24, stride: 2, depth: [1, 2], kernel: [3, 5], ratio: [3, 6]}
  - name: stage2
    stride: 2
    depth: [1, 2]
    multiplier: [0.75, 1]
    basis: ends
    squeeze: [none, hard]
    ratio: 3
    options:
      inverted: {width: 40}
      sandglass: {width: 192, depthwise: both, identity: [1, 1/2], first: {identity: 1}}
"""


def small_space(tmp_path, text=SMALL):
    path = tmp_path / "small.yaml"
    path.write_text(text)
    return load_space(path)


@settings(max_examples=60, deadline=None)
@given(names, seeds)
def test_architectures_survive_encoding_and_text(name, seed):
    space = SPACES[name]
    genotype = space.sample(np.random.default_rng(seed), 1)[0]
    architecture = space.decode(genotype)
    assert space.decode(space.encode(architecture)) == architecture
    assert parse(str(architecture)) == architecture
    if name != "macro":  # where a skipped second layer equals a skipped third
        assert (space.encode(architecture) == genotype).all()


@settings(max_examples=40, deadline=None)
@given(names, seeds, st.floats(0, 1))
def test_mutation_and_crossover_stay_canonical(name, seed, probability):
    space, rng = SPACES[name], np.random.default_rng(seed)
    parents = space.sample(rng, 16)
    mutated = space.mutate(rng, parents, probability)
    children = space.crossover(rng, parents, mutated)
    for batch in (parents, mutated, children):
        assert batch.dtype == np.uint8 and (space.canonical(batch) == batch).all()
        assert (batch < space.radices).all()
    assert (mutated != parents).any(axis=1).all(), "a mutation changes something"
    both = space.active(parents) & space.active(mutated) & space.active(children)
    assert ((children == parents) | (children == mutated))[both].all()


@settings(max_examples=40, deadline=None)
@given(names, seeds)
def test_slots_list_the_operations_of_the_decoded_network(name, seed):
    space = SPACES[name]
    genotype = space.sample(np.random.default_rng(seed), 1)[0]
    ops = [op for slot in space.slots for op in space.slot_ops(slot, genotype[list(slot.depends)].tolist())]
    assert ops == [op for layer in space.decode(genotype).ops() for op in layer.ops]


def test_slot_table_varies_the_last_dependency_fastest():
    space = SPACES["mobilenetv3"]
    slot = next(slot for slot in space.slots if slot.name == "unit1/layer2")
    values = product(*(range(int(space.radices[i])) for i in slot.depends))
    assert list(space.slot_table(slot)) == [space.slot_ops(slot, value) for value in values]


def test_count_equals_brute_force(tmp_path):
    space = small_space(tmp_path)
    every = list(space.enumerate())
    assert space.count() == len(every) == len({str(space.decode(genotype)) for genotype in every})
    assert SPACES["macro"].count() == 3**8
    assert SPACES["mobilenetv3"].count() == (9**2 + 9**3 + 9**4) ** 5, "Once-for-All's 2e19"
    assert SPACES["proxylessnas"].count() == (6 + 6**2 + 6**3 + 6**4) ** 5 * 6


def test_every_network_of_a_small_space_is_found_again(tmp_path):
    space = small_space(tmp_path)
    for genotype in space.enumerate():
        assert (space.encode(space.decode(genotype)) == genotype).all()


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("mnasnet", "mnasnet_a1"),
        ("mnasnet", "mnasnet_b1"),
        ("proxylessnas", "proxylessnas_mobile"),
        ("mobilenetv4", "mobilenet_v4_conv_medium"),
        ("mobilenetv4", "mobilenet_v4_conv_medium@224"),
        ("mobilenext", "mobilenext"),
    ],
)
def test_published_networks_are_members(name, network):
    space, architecture = SPACES[name], reference(network)
    assert space.decode(space.encode(architecture)) == architecture


def test_a_foreign_network_is_refused_with_its_place():
    with pytest.raises(UserError, match="not in space mobilenetv3: block 8 "):
        SPACES["mobilenetv3"].encode(reference("mobilenet_v3_large"))
    with pytest.raises(UserError, match="resolution 160"):
        SPACES["mobilenetv3"].encode(reference("mobilenet_v3_large@160"))
    with pytest.raises(UserError, match="stem"):
        SPACES["mobilenetv3"].encode(reference("mobilenet_v2"))
    assert reference("mobilenet_v2") not in SPACES["proxylessnas"]


def test_extremes_bound_every_sample():
    for name in ("mobile", "mnasnet"):
        space = SPACES[name]
        low, high = space.decode(smallest(space)).madds, space.decode(largest(space)).madds
        sampled = [space.decode(genotype).madds for genotype in space.sample(np.random.default_rng(1), 200)]
        assert low < min(sampled) and max(sampled) < high


def test_genotypes_that_do_not_fit_are_refused():
    space = SPACES["macro"]
    with pytest.raises(UserError, match="layer2/block: value index 3 is outside"):
        space.decode([0, 0, 3, 0, 0, 0, 0, 0])
    with pytest.raises(UserError, match="8 entries"):
        space.decode([0, 0])


def test_choices_on_which_nothing_depends_multiply():
    choices = ChoiceSet(
        [
            Choice("a", (1, 2, 3)),
            Choice("b", (0, 1), (Condition("a", frozenset({2, 3})),)),
            Choice("c", (0, 1, 2), (Condition("b", frozenset({1})),)),
            Choice("d", (0, 1)),
        ]
    )
    assert choices.count() == len(list(choices.enumerate())) == (1 + 2 * (1 + 3)) * 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("block: inverted", "block: inverse", "unknown block 'inverse'"),
        ("kernel: [3, 5], ratio: [3, 6]", "kernel: [3, 5]", "needs ratio"),
        ("kernel: [3, 5]", "kernels: [3, 5]", "unknown field 'kernels'"),
        ("kernel: [3, 5]", "kernel: [3, 3]", "distinct"),
        ("depth: [1, 2], kernel", "depth: [2, 1], kernel", "rising order"),
        ("format: space/1", "format: space/9", "this version reads"),
        ("name: first", "name: stage1", "named more than once"),
        ("name: stage1", "name: a/b", "letters, digits"),
        ("squeeze: [none, hard]", "squeeze: [none, soft]", "squeeze"),
        ("kernel: [3, 5]", "kernel: [3, 4]", "kernel is 4"),
    ],
)
def test_faulty_files_are_refused_with_their_place(tmp_path, old, new, message):
    assert old in SMALL
    with pytest.raises(UserError, match=message):
        small_space(tmp_path, SMALL.replace(old, new, 1))


def test_unknown_space():
    with pytest.raises(UserError, match="expected one of macro, mnasnet"):
        load_space("mobilenetv9")


def read_rows(folder, name):
    with (folder / "accuracy" / name).open() as file:
        return list(csv.DictReader(file))


def genotype_of(space, values):
    genotype = np.zeros(len(space.choices), dtype=np.uint8)
    for path, value in values.items():
        genotype[space.index[path]] = space.choices[space.index[path]].values.index(value)
    assert (space.canonical(genotype[None])[0] == genotype).all()
    return genotype


def test_every_network_of_the_mobilenetv3_table_with_its_multiply_adds(shared_data):
    space = SPACES["mobilenetv3"]
    rows = list(read_rows(shared_data, "mobilenetv3_space_imagenet_supernet.csv"))
    assert len(rows) == 1_615  # docs/supernet.md says that all of them agree
    for row in rows:
        values = {}
        for unit in range(5):
            values[f"unit{unit}/depth"] = depth = int(row[f"unit{unit}_depth"])
            for layer in range(depth):
                values[f"unit{unit}/layer{layer}/kernel"] = int(row[f"unit{unit}_layer{layer}_kernel"])
                values[f"unit{unit}/layer{layer}/ratio"] = int(row[f"unit{unit}_layer{layer}_expansion"])
        architecture = space.decode(genotype_of(space, values))
        assert architecture.madds / 1e6 == pytest.approx(float(row["macs_M"]), abs=6e-4)
        # Once-for-All's hidden layer of the head has no bias: 1,280 parameters fewer.
        assert (architecture.params - 1280) / 1e6 == pytest.approx(float(row["params_M"]), abs=6e-6)


def test_every_network_of_the_mnasnet_table_with_its_parameters(shared_data):
    space = SPACES["mnasnet"]
    rows = list(read_rows(shared_data, "mnasnet_space_imagenet_proxy.csv"))
    assert len(rows) == 4_101  # docs/supernet.md says that all of them agree
    for row in rows:
        values = {}
        for stage, width in enumerate((16, 24, 40, 80, 112, 192, 320)):
            ratio = int(row[f"block{stage}_expansion"])
            values |= {
                f"stage{stage}/block": "sepconv" if ratio == 1 else "mbconv",
                f"stage{stage}/depth": int(row[f"block{stage}_layers"]),
                f"stage{stage}/kernel": int(row[f"block{stage}_kernel"]),
                f"stage{stage}/squeeze": "logistic" if row[f"block{stage}_se"] == "1" else "none",
                f"stage{stage}/width": width,
            }
            if ratio != 1:
                values[f"stage{stage}/ratio"] = ratio
        architecture = space.decode(genotype_of(space, values))
        assert architecture.params / 1e6 == pytest.approx(float(row["params_M"]), abs=6e-6)


def test_every_network_of_the_macro_table_with_its_counts(shared_data):
    space = SPACES["macro"]
    rows = list(read_rows(shared_data, "macro_space_cifar10.csv"))
    assert len(rows) == 3_251  # docs/supernet.md says that all of them agree
    for row in rows:
        architecture = space.decode([int(digit) for digit in row["choices"]])
        assert architecture.madds / 1e6 == pytest.approx(float(row["macs_M"]), abs=6e-4)
        assert architecture.params / 1e6 == pytest.approx(float(row["params_M"]), abs=6e-6)
