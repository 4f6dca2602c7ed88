"""Depthwise convolutions of small maps: torch's own weight gradient beside that of `searchspace.modules.small_maps`.

    python -m benchmarks.small_maps [--batch 64] [--rounds 7]

One thread, the two gradients in turn; the figure is the median. The last column says which one a network uses.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from searchspace.modules import small_maps

SHAPES = ((768, 4, 5), (768, 4, 7), (960, 2, 3), (1536, 2, 3), (384, 4, 3), (384, 8, 5), (192, 8, 3))


def milliseconds(variants: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds + 1):  # the first round warms up
        for name, variant in variants.items():
            started = time.perf_counter()
            variant()
            taken[name].append(1e3 * (time.perf_counter() - started))
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def measured(batch: int, channels: int, side: int, kernel: int, rounds: int) -> tuple[dict[str, float], bool]:
    x = torch.randn(batch, channels, side, side).to(memory_format=torch.channels_last)
    grad = torch.randn_like(x)
    weight = torch.randn(channels, 1, kernel, kernel, requires_grad=True)
    y = F.conv2d(x, weight, padding=kernel // 2, groups=channels)
    variants: dict[str, Callable[[], object]] = {
        "forward": lambda: F.conv2d(x, weight, padding=kernel // 2, groups=channels),
        "torch": lambda: torch.autograd.grad(y, weight, grad, retain_graph=True),
        "ours": lambda: small_maps.weight_gradient(x, grad, kernel),
    }
    return milliseconds(variants, rounds), small_maps.pays(x, weight, channels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| channels | map | kernel | forward, ms | torch's gradient, ms | ours, ms | ratio | used |")
    print("|--|--|--|--|--|--|--|--|")
    for channels, side, kernel in SHAPES:
        found, used = measured(options.batch, channels, side, kernel, options.rounds)
        times = " | ".join(f"{found[name]:.1f}" for name in ("forward", "torch", "ours"))
        ratio = found["torch"] / found["ours"]
        print(f"| {channels} | {side} | {kernel} | {times} | {ratio:.1f} | {'ours' if used else 'torch'} |")


if __name__ == "__main__":
    main()
