"""How zero-cost scores order networks whose accuracy is known: Kendall tau beside that of multiply-adds.

    python benchmarks/zero_cost.py --table macro_space_cifar10.csv --data cifar10:PATH [--space macro] [--networks 150]

The networks are drawn from the table, always the same ones; intervals are 95 %, by bootstrap over the networks.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from nas.evaluators import SCORES, ZeroCostEvaluator
from nas.jobs.rank.statistics import compare
from nas.jobs.rank.truth import published
from searchspace.space import load_space


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--space", default="macro")
    parser.add_argument("--networks", type=int, default=150)
    parser.add_argument("--image-size", type=int, default=32)
    options = parser.parse_args()
    torch.set_num_threads(1)
    space = load_space(options.space)
    truth = published(options.table, space, options.networks)
    scores = {"multiply-adds": np.array([float(space.decode(row).madds) for row in truth.genotypes])}
    for name in SCORES:
        evaluator = ZeroCostEvaluator(space=space, score=name, data=options.data, image_size=options.image_size)
        scores[name] = np.array([evaluator.raw(row) for row in truth.genotypes])
    for name, found in compare(scores, truth.top1).items():
        parts = [
            f"{part}: {one.kendall:.3f} ({one.kendall_low:.3f} to {one.kendall_high:.3f})"
            for part, one in found.items()
        ]
        print(f"{name:14s} {', '.join(parts)}, {len(truth.top1)} networks", flush=True)


if __name__ == "__main__":
    main()
