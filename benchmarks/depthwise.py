"""Depthwise convolutions: torch's own weight gradient beside that of `searchspace.modules.depthwise`.

    python -m benchmarks.depthwise [--batch 64] [--rounds 7]

Both precisions, one thread, the gradients in turn; the figure is the median processor time. The last column says
which one a network uses.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from searchspace.modules import depthwise
from searchspace.modules.depthwise import Padding

SHAPES = ((72, 32, 5), (120, 16, 5), (672, 8, 5), (960, 4, 5), (240, 16, 7), (672, 8, 7), (960, 4, 7), (960, 2, 3))


def milliseconds(variants: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds + 1):  # the first round warms up
        for name, variant in variants.items():
            started = time.process_time()
            variant()
            taken[name].append(1e3 * (time.process_time() - started))
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def measured(
    batch: int, channels: int, side: int, kernel: int, dtype: torch.dtype, rounds: int
) -> tuple[dict[str, float], bool]:
    x = torch.randn(batch, channels, side, side).to(dtype, memory_format=torch.channels_last)
    grad, padding = torch.randn_like(x), Padding(kernel // 2, kernel // 2)
    weight = torch.randn(channels, 1, kernel, kernel, dtype=dtype, requires_grad=True)
    y = F.conv2d(x, weight, padding=kernel // 2, groups=channels)
    variants: dict[str, Callable[[], object]] = {
        "forward": lambda: F.conv2d(x, weight, padding=kernel // 2, groups=channels),
        "torch": lambda: torch.autograd.grad(y, weight, grad, retain_graph=True),
        "ours": lambda: depthwise.weight_gradient(x, grad, kernel, 1, padding),
    }
    return milliseconds(variants, rounds), depthwise.pays(x, weight, channels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| precision | channels | map | kernel | forward, ms | torch's gradient, ms | ours, ms | ratio | used |")
    print("|--|--|--|--|--|--|--|--|--|")
    for dtype in (torch.float32, torch.bfloat16):
        for channels, side, kernel in SHAPES:
            found, used = measured(options.batch, channels, side, kernel, dtype, options.rounds)
            times = " | ".join(f"{found[name]:.1f}" for name in ("forward", "torch", "ours"))
            ratio, name = found["torch"] / found["ours"], str(dtype).removeprefix("torch.")
            who = "ours" if used else "torch"
            print(f"| {name} | {channels} | {side} | {kernel} | {times} | {ratio:.1f} | {who} |", flush=True)


if __name__ == "__main__":
    main()
