"""Which optimizer and rate a supernet learns by: mean loss of networks of a space after equal training.

    python benchmarks/supernet_recipe.py --data cifar10:PATH [--space macro] [--image-size 16] [--images 4000]
        [--epochs 3] [--networks 12] [--arm adamw:0.003:64 ...]

An arm is OPTIMIZER:RATE:BATCH, OPTIMIZER adamw or sgd (Nesterov). Every arm passes the same number of images.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np

from nas.data import load_data
from nas.evaluators import SupernetEvaluator
from nas.supernets.training import train_supernet
from nas.training.recipes import OptimizerKind, Recipe, supernet
from searchspace.space import load_space
from searchspace.supernet import Supernet

ARMS = ("adamw:0.003:64", "adamw:0.004:64", "adamw:0.003:32", "sgd:0.1:64", "sgd:0.1:32", "sgd:0.3:64")


def recipe_of(arm: str, epochs: int) -> Recipe:
    optimizer, rate, batch = arm.split(":")
    recipe = replace(supernet(epochs), learning_rate=float(rate), batch_size=int(batch))
    if optimizer == "adamw":
        return recipe
    return replace(recipe, optimizer=OptimizerKind.SGD, nesterov=True, momentum=0.9, weight_decay=4e-5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--space", default="macro")
    parser.add_argument("--image-size", type=int, default=16)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument("--arm", nargs="+", default=ARMS)
    options = parser.parse_args()
    data = load_data(options.data, options.image_size, 0, options.images)
    space = load_space(options.space).with_classes(len(data.classes))
    genotypes = space.sample(np.random.default_rng(20_240), options.networks)
    print(f"{options.space}, {options.epochs * len(data.train):,} image passes at {options.image_size} px")
    print("| optimizer, rate, batch | mean loss | processor time |\n|---|---|---|")
    for arm in options.arm:
        started = time.process_time()
        network = Supernet(space, seed=0, classes=len(data.classes), image_size=data.image_size)
        train_supernet(network, data, recipe_of(arm, options.epochs))
        seconds = time.process_time() - started
        evaluator = SupernetEvaluator(network, data)
        loss = np.mean([evaluator.accuracy(genotype).loss for genotype in genotypes])
        print(f"| {arm.replace(':', ', ')} | {loss:.3f} | {seconds:.0f} s |", flush=True)


if __name__ == "__main__":
    main()
