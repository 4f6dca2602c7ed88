"""The supernet: `supernet(images, genotype)` for any network of its space.

The modules that run are those of `searchspace.modules`, without weights of their own; each call hands them their
corner of the shared weights. So there is no active subnet to set, nothing to keep in step with the plain networks,
and `extract` only copies what a call would have used. These modules belong to their supernet alone.

Where several genotypes are one network (a space of layers that can be skipped), they run with different weights: what
was drawn is what trains and what is scored. An architecture stands for the genotype that `SearchSpace.encode` finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from searchspace.architecture import Architecture
from searchspace.choices import Genotypes
from searchspace.low_resolution import RunForm, strides_to_drop
from searchspace.modules import Network, empty_network, initialise
from searchspace.space import SearchSpace
from searchspace.stage_plan import Reader
from searchspace.supernet.places import Places, block_module, head_module, stem_module
from searchspace.supernet.shared import SharedPart

_REMEMBERED = 4096  # paths


class _Step(NamedTuple):
    """One part of a network in running order: its name in the plain network, its weights, the module to run."""

    name: str
    part: SharedPart
    template: nn.Module


class Supernet(nn.Module):
    """Shared weights for all networks of `space`, with `classes` outputs, for images of up to `image_size` pixels.

    `image_size` defaults to the space's largest resolution; for small images the first strides are dropped
    (`searchspace.low_resolution`). Architectures are those of the space, at its own resolutions: an architecture at
    part of the largest resolution takes images at that part of `image_size` (`input_size`).
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        classes: int | None = None,
        image_size: int | None = None,
        dropout: float = 0.0,
        kernel_transform: bool = False,
    ) -> None:
        super().__init__()
        self.space = space
        self.classes = classes or space.spec.classes
        self.image_size = image_size or max(space.spec.resolutions)
        self.dropout = dropout
        smaller = self.image_size < max(space.spec.resolutions)
        self.dropped_strides = strides_to_drop(self.image_size, space.total_stride) if smaller else 0
        self.places = Places(space, self.classes, dropout)
        with torch.device("meta"):
            self.parts = nn.ModuleDict(
                {name: SharedPart(templates, kernel_transform) for name, templates in self.places.all()}
            )
        self.to_empty(device="cpu")
        generator = torch.Generator().manual_seed(seed)
        initialise(self, generator)
        for name, parameter in self.named_parameters():
            if ".transforms." in name:
                nn.init.eye_(parameter)
        self.batch_norm_momentum: float | None = None
        self._paths: dict[bytes, tuple[_Step, ...]] = {}
        self._templates: dict[object, nn.Module] = {}

    def configure_layers(self, *, dropout: float, batch_norm_momentum: float) -> None:
        """Set the dropout and the batch-norm momentum of all modules that run."""
        self.dropout, self.batch_norm_momentum = dropout, batch_norm_momentum
        for template in self._templates.values():
            self._configure(template)

    def _configure(self, template: nn.Module) -> None:
        for module in template.modules():
            if isinstance(module, nn.Dropout):
                module.p = self.dropout
            elif isinstance(module, nn.BatchNorm2d) and self.batch_norm_momentum is not None:
                module.momentum = self.batch_norm_momentum

    def _template(self, key: object, build: Callable[[], nn.Module]) -> nn.Module:
        """The module without weights for `key`, made once."""
        found = self._templates.get(key)
        if found is None:
            with torch.device("meta"):
                found = self._templates[key] = build()
            self._configure(found)
        return found

    def input_size(self, network: Architecture | Genotypes) -> int:
        """Side in pixels of the images a network takes here: in proportion to its resolution."""
        if isinstance(network, Architecture):
            resolution = network.resolution
        else:
            resolution = self.space.resolution(lambda choice: int(network[choice]))
        return max(4, round(self.image_size * resolution / max(self.space.spec.resolutions)))

    def run_form(self, network: Architecture | Genotypes) -> RunForm:
        """How the network runs here: at which resolution, without how many of its first strides."""
        return RunForm(self.input_size(network), self.dropped_strides)

    def runs_as(self, network: Architecture | Genotypes) -> Architecture:
        """The network as it runs here: strides, resolution and classes of the supernet."""
        architecture = network if isinstance(network, Architecture) else self.space.decode(network)
        return self.run_form(network).of(architecture).with_classes(self.classes)

    def _path(self, network: Architecture | Genotypes) -> tuple[_Step, ...]:
        """The steps of a network; raises UserError naming the place where it leaves the space."""
        genotype = self.space.encode(network) if isinstance(network, Architecture) else self.space.check(network)[0]
        path = self._paths.get(genotype.tobytes())
        if path is None:
            if len(self._paths) >= _REMEMBERED:
                self._paths.clear()
                self._templates.clear()
            path = self._paths[genotype.tobytes()] = tuple(self._find_path(genotype))
        return path

    def _find_path(self, genotype: Genotypes) -> Iterator[_Step]:
        running = self.runs_as(genotype)
        blocks = enumerate(running.placed_blocks())
        yield _Step("stem", self._shared_part("stem"), self._template(running.stem, lambda: stem_module(running.stem)))
        stream = ""
        read: Reader = genotype.tolist().__getitem__
        for number, plan in enumerate(self.space.plans):
            for layer in range(len(plan.stage.fixed) or plan.stage.depths[-1]):
                if self.space.layer_block(number, layer, read) is None:
                    continue
                index, placed = next(blocks)
                option = 0 if plan.stage.fixed else plan.option(read)
                key = placed.block, placed.in_channels
                part = self._shared_part(self.places.name(number, layer, option, stream))
                yield _Step(f"blocks.{index}", part, self._template(key, partial(block_module, *key)))
                stream = self.places.stream(number, option)
        channels = running.blocks[-1].out
        head = self._template(
            (running.head, channels), lambda: head_module(running.head, channels, self.classes, self.dropout)
        )
        yield _Step("head", self._shared_part(f"head{stream}"), head)

    def steps(self, network: Architecture | Genotypes) -> Iterator[tuple[SharedPart, str]]:
        """Yield the places a network runs through, each with the name that the plain network has for it."""
        return ((step.part, step.name) for step in self._path(network))

    def places_of(self, number: int, layer: int, kind: str) -> Iterator[str]:
        """Yield the names of the places where a layer of a stage can be a block of a family."""
        for name in self.places.of_kind(number, layer, kind):
            yield from (known for known in self.parts if known == name or known.startswith(f"{name}/after-"))

    def _shared_part(self, name: str) -> SharedPart:
        part = self.parts[name]
        assert isinstance(part, SharedPart)
        return part

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # another network, and other shapes, at every call
    def forward(self, images: Tensor, network: Architecture | Genotypes) -> Tensor:
        """Map images (batch, 3, size, size) to logits (batch, classes) through one network of the space.

        The network is a genotype of shape (choices,), or an architecture. Raises UserError where it is not in the
        space.
        """
        x = images
        for step in self._path(network):
            if step.template.training != self.training:
                step.template.train(self.training)
            x = functional_call(step.template, step.part.weights(step.template), (x,))
        return x

    @torch.no_grad()
    def extract(self, network: Architecture | Genotypes) -> Network:
        """Return a plain network with copies of the weights that a call for this network would use.

        Its batch-norm statistics are the shared ones: `recalibrate` it before evaluation.
        """
        extracted = empty_network(self.runs_as(network), self.dropout)
        state = {
            f"{step.name}.{name}": tensor
            for step in self._path(network)
            for name, tensor in step.part.weights(step.template).items()
        }
        extracted.load_state_dict(state)
        device = next(self.parameters()).device
        return extracted.to(device).train(self.training)


def resized(images: Tensor, size: int) -> Tensor:
    """Return images (batch, 3, h, w) at `size` pixels square."""
    if images.shape[-1] == size:
        return images
    return functional.interpolate(images, size=(size, size), mode="bilinear", antialias=True)
