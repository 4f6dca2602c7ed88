"""How much of a trained network its smaller forms keep, before any training: the accuracies in docs/pretrained.md.

    python -m benchmarks.around_network runs/pretrained_cifar10/01-seed/seed.safetensors --data cifar10:PATH \
        --weights mobilenet_v2_1.0_224_quant.tflite

NETWORK is a fine-tuned network in this project's form, its strongest channels first; `--weights` those it came from,
whose preparation of images it has. Every member gets batch-norm statistics of its own from training images and
classifies images of the search split.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from nas.data import load_data, sample
from nas.objectives import Objective
from nas.supernets.training import shared_accuracy
from nas.weights import open_weights
from searchspace.around import space_around
from searchspace.choices import Genotypes
from searchspace.space import SearchSpace
from searchspace.supernet import Supernet, start_from
from searchspace.weights import load_network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network")
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--subset", type=int, default=3000)
    parser.add_argument("--statistics-images", type=int, default=64)
    parser.add_argument("--judged-images", type=int, default=200)
    parser.add_argument("--drawn", type=int, default=12)
    options = parser.parse_args()
    torch.manual_seed(0)
    network = load_network(options.network).eval()
    architecture = network.architecture
    prepared = open_weights(options.weights, architecture.with_classes(1000)).info.preparation
    data = load_data(options.data, architecture.resolution, 0, options.subset, preparation=prepared)
    space = SearchSpace(space_around(architecture, "around:network")).with_classes(architecture.classes)
    supernet = Supernet(space, seed=0, classes=architecture.classes, image_size=architecture.resolution)
    print(start_from(supernet, architecture, network.state_dict()))
    judged = [sample(data.search, options.judged_images, 0)]
    statistics = [sample(data.train, options.statistics_images, 0).images]
    cost, around = CompiledCost(space, load_device("pixel")), space.encode(architecture)

    def top1(genotype: Genotypes) -> float:
        return shared_accuracy(supernet, genotype, statistics, judged).top1

    own_ms, own_high = float(cost.latency_ms(around[None])[0]), float(cost.interval_ms(around[None])[1][0])
    print(f"the network itself: {top1(around):.1f} %, {own_ms:.2f} ms")
    for number, choice in enumerate(space.choices):
        smaller = np.array(around)
        smaller[number] = max(0, int(around[number]) - 1)
        smaller = space.canonical(smaller[None])[0]
        if choice.path.endswith("kernel") or (smaller == around).all():
            continue
        saved = own_ms - float(cost.latency_ms(smaller[None])[0])
        print(f"{choice.path} {choice.values[smaller[number]]}: {top1(smaller):.1f} %, saves {saved:.2f} ms")
    for share in (0.75, 0.5):
        objective = Objective(cost, share * own_high, ceiling=1.0, around=around)
        found = [top1(row) for row in objective.sample(np.random.default_rng(3), options.drawn)]
        print(f"{options.drawn} drawn at {share:.0%} of the latency: {np.mean(found):.1f} %, best {max(found):.1f} %")


if __name__ == "__main__":
    main()
