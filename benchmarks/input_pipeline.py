"""Images per second of the input pipeline beside those of the training step it feeds.

    python -m benchmarks.input_pipeline --data cifar10:PATH [--network mobilenet_v3_large] [--image-size N] [--json]

The pipeline's figure is that of `train_batches` alone: picking, augmenting and normalising from memory, or decoding
and cropping where `--stream` forces the path of sets too large for memory. Decoding must never starve the step, so
the ratio should stay far above 1 on the CPU, where both share the cores.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator

import torch

import nas.data.load
from nas.data import Batch, Data, load_data
from nas.training.execution import Execution, default_execution
from nas.training.optimizers import build_optimizer
from nas.training.recipes import recipe
from nas.training.step import on_device, training_step
from searchspace.low_resolution import for_images
from searchspace.modules import build_network
from searchspace.resolve import resolve_network


def endless(data: Data, batch_size: int, execution: Execution) -> Iterator[Batch]:
    split = on_device(data.train, execution)
    epoch = 0
    while True:
        yield from split.train_batches(batch_size, seed=0, epoch=epoch)
        epoch += 1


def pipeline_rate(data: Data, batch_size: int, execution: Execution, seconds: float) -> float:
    batches = endless(data, batch_size, execution)
    next(batches)
    return _rate(lambda: next(batches), batch_size, execution, seconds)


def step_rate(network: str, data: Data, batch_size: int, execution: Execution, seconds: float) -> float:
    architecture = for_images(resolve_network(network), data.image_size).with_classes(len(data.classes))
    module = execution.prepare(build_network(architecture, seed=0)).train()
    optimizer = build_optimizer(module, recipe("short"))
    batch = next(endless(data, batch_size, execution))
    training_step(module, optimizer, batch, execution)
    return _rate(lambda: training_step(module, optimizer, batch, execution), batch_size, execution, seconds)


def _rate(action: object, batch_size: int, execution: Execution, seconds: float) -> float:
    assert callable(action)
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        action()
        count += batch_size
    if execution.device.startswith("cuda"):
        torch.cuda.synchronize()
    return count / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--network", default="mobilenet_v3_large")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--stream", action="store_true", help="decode for every batch, as for very large sets")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.stream:
        nas.data.load.DECODED_LIMIT_BYTES = 0
    execution = default_execution()
    data = load_data(options.data, options.image_size)
    batch_size = min(options.batch, len(data.train))
    pipeline = pipeline_rate(data, batch_size, execution, options.seconds)
    step = step_rate(options.network, data, batch_size, execution, options.seconds)
    if options.json:
        print(json.dumps({"settings": vars(options), "pipeline": pipeline, "step": step}, indent=2))
        return
    print(f"{options.data} at {data.image_size} px, batch {batch_size}, {execution.device}")
    print(f"pipeline {pipeline:9.0f} images/s\nstep     {step:9.0f} images/s   ({options.network})")
    print(f"the pipeline is {pipeline / step:.1f} times as fast as the step")


if __name__ == "__main__":
    main()
