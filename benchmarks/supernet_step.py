"""A supernet's training step beside that of the same stand-alone network, in time and peak memory.

    python benchmarks/supernet_step.py [--space mobilenetv3] [--image-size 64] [--batch 64] [--networks 5] [--json]

Both take forward, backward and an SGD step with momentum on the same images; steps alternate between the two, so that
other load on the machine falls on both, and the figure is the median of the ratios of neighbouring steps. Peak memory
is measured in a fresh process each (Linux): memory at its highest during three steps, less that before them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from searchspace.architecture import Architecture
from searchspace.space import load_space
from searchspace.supernet import Supernet


def _step(module: nn.Module, arguments: tuple[object, ...], labels: Tensor) -> Callable[[], None]:
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9, weight_decay=4e-5)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(module(*arguments), labels).backward()
        optimizer.step()

    return step


def _setting(options: argparse.Namespace) -> tuple[Supernet, list[Architecture], Tensor, Tensor]:
    space = load_space(options.space)
    supernet = Supernet(space, seed=0, classes=10, image_size=options.image_size)
    supernet.to(options.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    genotypes = space.sample(np.random.default_rng(0), options.networks)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(options.batch, 3, options.image_size, options.image_size, generator=generator)
    labels = torch.randint(0, 10, (options.batch,), generator=generator)
    images = images.to(options.device, memory_format=torch.channels_last)
    return supernet, [space.decode(genotype) for genotype in genotypes], images, labels.to(options.device)


def _seconds(step: Callable[[], None], device: str) -> float:
    started = time.perf_counter()
    step()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - started


def time_ratios(options: argparse.Namespace) -> dict[str, float]:
    """Seconds of one step of each, and the median ratio over networks and repeats."""
    supernet, architectures, images, labels = _setting(options)
    ratios, shared_times, alone_times = [], [], []
    for architecture in architectures:
        alone = supernet.extract(architecture).train()
        alone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # A different network each step is what training does; the shared step is timed on a path found before.
        steps = (_step(supernet.train(), (images, architecture), labels), _step(alone, (images,), labels))
        for repeat in range(options.repeats + 2):
            order = (0, 1) if repeat % 2 else (1, 0)
            seconds = {which: _seconds(steps[which], options.device) for which in order}
            if repeat >= 2:
                ratios.append(seconds[0] / seconds[1])
                shared_times.append(seconds[0])
                alone_times.append(seconds[1])
    return {
        "ratio": statistics.median(ratios),
        "supernet_ms": 1000 * statistics.median(shared_times),
        "alone_ms": 1000 * statistics.median(alone_times),
    }


def peak_memory_mb(options: argparse.Namespace, which: str) -> float:
    """Highest memory of three steps in this process, less that before the first, in MB."""
    supernet, architectures, images, labels = _setting(options)
    if which == "supernet":
        step = _step(supernet.train(), (images, architectures[0]), labels)
    else:
        network = supernet.extract(architectures[0]).train()
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        del supernet
        step = _step(network, (images,), labels)
    if options.device.startswith("cuda"):
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
    else:
        before = _resident_bytes("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # sets the highest resident size back to the present one
    for _ in range(3):
        step()
    peak = torch.cuda.max_memory_allocated() if options.device.startswith("cuda") else _resident_bytes("VmHWM")
    return (peak - before) / 2**20


def _resident_bytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--space", default="mobilenetv3")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--networks", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--memory-of", choices=("supernet", "alone"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.manual_seed(0)
    if options.memory_of:
        print(peak_memory_mb(options, options.memory_of))
        return
    result = time_ratios(options)
    for which in ("supernet", "alone"):
        output = subprocess.run(
            [sys.executable, *sys.argv, "--memory-of", which], check=True, capture_output=True, text=True
        )
        result[f"{which}_peak_mb"] = float(output.stdout)
    if options.json:
        print(json.dumps(result))
        return
    print(f"supernet step {result['supernet_ms']:.0f} ms, stand-alone {result['alone_ms']:.0f} ms")
    print(f"ratio {result['ratio']:.3f} (median of neighbouring steps)")
    print(f"peak memory {result['supernet_peak_mb']:.0f} MB and {result['alone_peak_mb']:.0f} MB")


if __name__ == "__main__":
    main()
