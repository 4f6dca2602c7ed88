"""A training step eager, channels-last, compiled and in bfloat16, with and without this project's own parts.

    python -m benchmarks.train_step [--network mobilenet_v3_large] [--image-size 64] [--batch 32] [--variants ...]

NETWORK may be `space:NAME`, a network drawn from a search space, or `supernet:NAME`, whose steps train a network each,
drawn anew but alike for every variant.

"torch" in a variant's name means torch's own depthwise gradients and memory as the C library has it, as everything was
before those; the others use `searchspace.modules.depthwise` and keep freed memory, as training does.

Each variant takes forward, backward and an SGD step on the same images with the project's own `training_step`. Rounds
go through all variants in turn, so that other load on the machine falls on all of them; the figure is the median. On a
CPU processor time is counted, which other processes disturb less; on a GPU wall time between synchronisations.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from unittest.mock import patch

import numpy as np
import torch
from torch import nn

from nas.data import Batch
from nas.supernets.modes import single_path
from nas.supernets.training import SupernetInTraining, steps_of
from nas.training.execution import Execution
from nas.training.memory import keep_freed_memory
from nas.training.optimizers import build_optimizer
from nas.training.recipes import recipe
from nas.training.step import TakeStep, training_step
from searchspace.low_resolution import for_images
from searchspace.modules import build_network, depthwise
from searchspace.resolve import resolve_network
from searchspace.space import load_space
from searchspace.supernet import Supernet

VARIANTS: dict[str, dict[str, bool]] = {
    "eager": {"channels_last": False},
    "channels-last, torch": {"channels_last": True},
    "channels-last": {"channels_last": True},
    "channels-last, compiled": {"channels_last": True, "compile": True},
    "channels-last, bfloat16, torch": {"channels_last": True, "bf16": True},
    "channels-last, bfloat16": {"channels_last": True, "bf16": True},
    "channels-last, bfloat16, compiled": {"channels_last": True, "bf16": True, "compile": True},
}


@contextmanager
def plain_gradients() -> Iterator[None]:
    """Convolve without this project's gradients, but for maps smaller than the kernel in float32."""
    ours = depthwise.pays

    def before(x: torch.Tensor, weight: torch.Tensor, groups: int, stride: int = 1) -> bool:
        return not torch.is_autocast_enabled("cpu") and ours(x, weight, groups, stride)

    with patch.object(depthwise, "pays", before):
        yield


def made(network: str, image_size: int) -> tuple[nn.Module, TakeStep]:
    """Return what is trained for 10 classes, and its step."""
    kind, _, name = network.partition(":")
    if kind == "supernet":
        space = load_space(name).with_classes(10)
        step = steps_of(single_path(space), seed=0, total_steps=1000)
        return SupernetInTraining(Supernet(space, seed=0, classes=10, image_size=image_size)), step
    if kind == "space":
        space = load_space(name)
        architecture = space.decode(space.sample(np.random.default_rng(0), 1)[0])
    else:
        architecture = resolve_network(network)
    return build_network(for_images(architecture, image_size).with_classes(10), seed=0), training_step


def prepared_step(
    network: str, image_size: int, batch_size: int, execution: Execution, plain: bool = False
) -> Callable[[], None]:
    module, take_step = made(network, image_size)
    module = execution.prepare(module).train()
    forward = execution.compiled(module)
    optimizer = build_optimizer(module, recipe("short"))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch_size, 3, image_size, image_size, generator=generator)
    batch = Batch(images, torch.randint(0, 10, (batch_size,), generator=generator))

    def step() -> None:
        keep_freed_memory(not plain)
        with plain_gradients() if plain else nullcontext():
            take_step(forward, optimizer, batch, execution)
        if execution.device.startswith("cuda"):
            torch.cuda.synchronize()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="mobilenet_v3_large")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--torch-device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    clock = time.perf_counter if options.torch_device.startswith("cuda") else time.process_time
    steps, first_seconds = {}, {}
    for name in options.variants:
        execution = Execution(device=options.torch_device, **VARIANTS[name])
        steps[name] = prepared_step(
            options.network, options.image_size, options.batch, execution, name.endswith("torch")
        )
        started = clock()
        for _ in range(2):  # compiles, allocates
            steps[name]()
        first_seconds[name] = clock() - started
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.rounds):
        for name, step in steps.items():
            started = clock()
            step()
            seconds[name].append(clock() - started)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    rates = {name: options.batch / median for name, median in medians.items()}
    if options.json:
        print(
            json.dumps(
                {"settings": vars(options), "images_per_second": rates, "first_two_steps_s": first_seconds}, indent=2
            )
        )
        return
    print(f"{options.network} at {options.image_size} px, batch {options.batch}, {torch.get_num_threads()} threads")
    for name, rate in rates.items():
        first = f"first two steps {first_seconds[name]:.1f} s"
        print(f"{name:<36} {rate:8.1f} images/s   {rate / rates[options.variants[0]]:.2f}x   {first}")


if __name__ == "__main__":
    main()
