"""The tests every block family has to pass; inherit them and give examples to test your own.

    from searchspace.testing import BlockConformance

    class TestMine(BlockConformance):
        examples = ("my_k3_s1_h48_c16_re", "my_k5_s2_h32_c24_hs")
        options = {"kernel": [3, 5], "ratio": [2, 4]}

They need pytest, torch and, for the exported file, ai-edge-litert. They look at the family through the eyes of the
packages to the right of this one (slimming, export), and import these where they are used;
nothing else here does.
"""

# ruff: noqa: D102 - the names of the tests say what they test

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

from searchspace.architecture import Architecture
from searchspace.blocks import Block, PlacedBlock, block_families
from searchspace.modules import ConvBNAct, build_block, build_network
from searchspace.space import SearchSpace, load_space
from searchspace.supernet import Supernet
from searchspace.text import parse, parse_block
from searchspace.widths import scale_width
from searchspace.yaml_io import load_architecture, save_architecture

CHANNELS = 16
"""Channels that the examples receive; one with stride 1 and as many outputs has a shortcut."""
_SIZE = 16


class BlockConformance:
    """Tests of one family: `examples` are tokens of blocks that receive 16 channels, `options` those of a space file.

    Between them the examples should have every layer, both strides, a shortcut and no shortcut.
    """

    examples: ClassVar[tuple[str, ...]]
    options: ClassVar[Mapping[str, Any]]

    def blocks(self) -> Iterator[Block]:
        """Yield the examples."""
        yield from map(parse_block, self.examples)

    def networks(self) -> Iterator[Architecture]:
        """Yield a network around each example, with another block of its kind behind it."""
        for example in self.examples:
            out = parse_block(example).out
            behind = f"ir_k3_s1_h{2 * out}_c{out}_re"
            yield parse(f"r{_SIZE},stem_k3_s1_c{CHANNELS}_re,{example},{behind},head_c24_re,n5")

    def space(self, folder: Path) -> SearchSpace:
        """Return a small space of two stages, the first of this family."""
        family = next(self.blocks()).family
        first = {"name": "one", "block": family.kind, "width": [CHANNELS, 24], "depth": [1, 2], **self.options}
        second = {"name": "two", "block": "inverted", "width": 16, "stride": 2, "ratio": 2}
        content = {
            "format": "space/1",
            "name": "conformance",
            "resolution": _SIZE,
            "classes": 5,
            "stem": f"stem_k3_s1_c{CHANNELS}_re",
            "head": "head_c24_re",
            "per_layer": [name for name, values in self.options.items() if isinstance(values, list)],
            "stages": [first, second],
        }
        (folder / "conformance.yaml").write_text(yaml.safe_dump(content))
        return load_space(folder / "conformance.yaml")

    def test_the_examples_are_of_one_family_and_show_it(self) -> None:
        blocks = list(self.blocks())
        assert len({type(block) for block in blocks}) == 1
        assert {block.stride for block in blocks} == {1, 2}
        if "identity" in blocks[0].family.fields:
            assert {PlacedBlock(block, _SIZE, CHANNELS).shortcut_channels > 0 for block in blocks} == {True, False}

    def test_names_and_colour_are_its_own(self) -> None:
        family = next(self.blocks()).family
        others = [block.family for block in block_families() if block.family is not family]
        for name in ("kind", "name", "colour", "prefix"):
            assert getattr(family, name) not in {getattr(other, name) for other in others}
        assert str(parse_block(family.example)) == family.example

    def test_text_and_file_give_the_network_back(self, tmp_path: Path) -> None:
        for example, architecture in zip(self.examples, self.networks(), strict=True):
            assert str(parse_block(example)) == example
            assert parse(str(architecture)) == architecture
            save_architecture(architecture, tmp_path / "network.yaml")
            assert load_architecture(tmp_path / "network.yaml") == architecture

    def test_counts_are_those_of_the_module(self) -> None:
        for architecture in self.networks():
            for half in (architecture, scale_width(architecture, Fraction(1, 2))):
                network = build_network(half, seed=0).eval()
                assert half.params == sum(parameter.numel() for parameter in network.parameters())
                assert half.madds == _counted_madds(network, torch.zeros(1, 3, _SIZE, _SIZE))

    def test_the_module_gives_the_shape_that_is_said(self) -> None:
        for block in self.blocks():
            for size in (1, 7, _SIZE):
                placed = PlacedBlock(block, size, CHANNELS)
                y = build_block(placed).eval()(torch.rand(2, CHANNELS, size, size))
                assert y.shape == (2, block.out, placed.out_size, placed.out_size)

    def test_the_module_holds_the_layers_of_the_wiring(self) -> None:
        for block in self.blocks():
            placed = PlacedBlock(block, _SIZE, CHANNELS)
            assert [name for name, _ in build_block(placed).named_children()] == [layer.name for layer in placed.wiring]
            assert placed.wiring[-1].writes.value == "out"

    def test_a_space_decodes_encodes_and_lists_its_slots(self, tmp_path: Path) -> None:
        space = self.space(tmp_path)
        assert any(isinstance(block, type(next(self.blocks()))) for block in space.decode(_first(space)).blocks)
        for genotype in space.sample(np.random.default_rng(0), 20):
            architecture = space.decode(genotype)
            assert space.decode(space.encode(architecture)) == architecture
            listed = (space.slot_ops(slot, [int(genotype[i]) for i in slot.depends]) for slot in space.slots)
            assert [ops for ops in listed if ops] == [layer.ops for layer in architecture.ops()]

    def test_the_supernet_answers_as_the_network_cut_from_it(self, tmp_path: Path) -> None:
        space = self.space(tmp_path)
        supernet = Supernet(space, seed=0, image_size=_SIZE, kernel_transform=True).eval()
        x = torch.rand(2, 3, _SIZE, _SIZE, generator=torch.Generator().manual_seed(0))
        for genotype in space.sample(np.random.default_rng(1), 10):
            architecture = space.decode(genotype)
            with torch.no_grad():
                assert torch.allclose(supernet(x, architecture), supernet.extract(architecture)(x), atol=1e-5)

    def test_pruning_answers_as_masking(self) -> None:
        from netadapt.testing import ALL_WIDTHS, check_layout, check_masked

        for architecture in self.networks():
            check_layout(architecture)
            for group in ALL_WIDTHS.groups(architecture):
                check_masked(architecture, group)

    def test_the_exported_file_answers_as_torch(self) -> None:
        pytest.importorskip("ai_edge_litert", reason="running an exported file needs ai-edge-litert")
        from latency_lut.tflite import module_model
        from latency_lut.tflite.runtime import run

        x = torch.rand(1, 3, _SIZE, _SIZE, generator=torch.Generator().manual_seed(0))
        for architecture in self.networks():
            network = build_network(architecture, seed=0).eval()
            with torch.no_grad():
                expected = network(x).numpy()
            found = run(module_model(network, (1, 3, _SIZE, _SIZE)), np.moveaxis(x.numpy(), 1, -1))
            assert np.abs(found - expected).max() <= 1e-4 * np.ptp(expected)


def _first(space: SearchSpace) -> Any:
    return np.zeros(len(space.choices), dtype=np.uint8)


def _counted_madds(network: nn.Module, images: Tensor) -> int:
    """Run the network and count the multiplications of its convolutions and linear layers, as its modules do them."""
    total = 0

    def count(module: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
        nonlocal total
        del given
        weight = (module.conv if isinstance(module, ConvBNAct) else module).weight
        assert isinstance(weight, Tensor)
        total += weight.numel() * (result.shape[-1] * result.shape[-2] if result.dim() == 4 else 1)

    counted = (ConvBNAct, nn.Conv2d, nn.Linear)  # the convolution inside a ConvBNAct is never called itself
    hooks = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, counted)]
    network(images)
    for hook in hooks:
        hook.remove()
    return total
