"""Writing TFLite files against converting them with litert-torch: seconds to make, milliseconds to run.

python benchmarks/export_time.py [NETWORK...]
"""

from __future__ import annotations

import os
import sys
import time

import torch

from latency_lut.measure.litert import benchmark
from latency_lut.tflite import module_model
from latency_lut.tflite.runtime import quiet
from searchspace import reference
from searchspace.modules import Network, build_network


def written(network: Network, size: int) -> bytes:
    return module_model(network, (1, 3, size, size))


def converted(network: Network, size: int) -> bytes:
    import litert_torch

    os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")
    with quiet():
        channel_last = litert_torch.to_channel_last_io(network, args=[0])
        content: bytes = litert_torch.convert(channel_last, (torch.zeros(1, size, size, 3),)).model_content()
    return content


def main() -> None:
    names = sys.argv[1:] or ["mobilenet_v3_large", "mobilenet_v2", "mobilenext"]
    print(f"{'network':28} {'written s':>9} {'converted s':>11} {'runs ms':>8} {'converted ms':>12}")
    for name in names:
        network = build_network(reference(name), seed=0).eval()
        size = network.architecture.resolution
        seconds, models = [], []
        for make in (
            lambda n=network, s=size: module_model(n, (1, 3, s, s)),
            lambda n=network, s=size: converted(n, s),
        ):
            start = time.perf_counter()
            models.append(make(network, size))
            seconds.append(time.perf_counter() - start)
        ours, theirs = (benchmark(model).median_ms for model in models)
        print(f"{name:28} {seconds[0]:9.2f} {seconds[1]:11.1f} {ours:8.2f} {theirs:12.2f}")


if __name__ == "__main__":
    main()
