"""How well the order of networks after a few epochs foretells that after all: what early stopping goes by.

    python benchmarks/early_stopping.py --data digits --networks 24 --epochs 9

Networks are drawn uniformly and trained from scratch as `nas search --evaluator train --trial-epochs N` trains them, at
the full schedule. After each epoch: Kendall's tau of top-1 on the search split with that after the last one, its 95 %
bootstrap interval, and how many of the best quarter would have survived ASHA's cut there, which keeps the better half.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from nas.evaluators import EpochTold, TrainEvaluator
from nas.jobs.rank.statistics import correlation
from searchspace.space import load_space

RUNGS = (1, 2, 4, 8, 16)  # ASHA's with a grace of one epoch and a reduction factor of two


def trained(evaluator: TrainEvaluator, networks: int, seed: int) -> np.ndarray:
    """Return top-1 in percent, shape (networks, epochs)."""
    rows = []
    for number, genotype in enumerate(evaluator.space.sample(np.random.default_rng(seed), networks)):
        told: list[float] = []
        evaluator.trained(genotype, EpochTold(lambda epoch, top1, told=told: told.append(top1)))
        rows.append(told)
        print(f"network {number + 1} of {networks}: " + " ".join(f"{top1:.1f}" for top1 in told), flush=True)
    return np.array(rows)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", default="digits")
    options.add_argument("--image-size", type=int, default=8)
    options.add_argument("--classes", type=int, default=10)
    options.add_argument("--space", default="mobilenetv3")
    options.add_argument("--networks", type=int, default=24)
    options.add_argument("--epochs", type=int, default=9)
    options.add_argument("--subset", type=int)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path, help="a CSV file for top-1 by network and epoch")
    chosen = options.parse_args()
    evaluator = TrainEvaluator(
        space=load_space(chosen.space),
        data=chosen.data,
        image_size=chosen.image_size,
        classes=chosen.classes,
        epochs=chosen.epochs,
        subset=chosen.subset,
        seed=chosen.seed,
        torch_device="cpu",
    )
    top1 = trained(evaluator, chosen.networks, chosen.seed)
    if chosen.out is not None:
        with chosen.out.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([f"epoch_{epoch + 1}" for epoch in range(chosen.epochs)])
            writer.writerows([[f"{value:.3f}" for value in row] for row in top1])
    final = top1[:, -1]
    print(f"after {chosen.epochs} epochs: {final.min():.1f} to {final.max():.1f} %, mean {final.mean():.1f} %")
    best = set(np.argsort(-final, kind="stable")[: len(final) // 4].tolist())
    print(f"{'epoch':>5} {'tau':>6} {'95 %':>16} {'best quarter kept':>18}")
    for epoch in range(chosen.epochs - 1):
        found = correlation(top1[:, epoch], final)
        kept = set(np.argsort(-top1[:, epoch], kind="stable")[: len(final) // 2].tolist())
        interval = f"{found.kendall_low:.3f} to {found.kendall_high:.3f}"
        rung = f"{len(best & kept)} of {len(best)}" if epoch + 1 in RUNGS else ""
        print(f"{epoch + 1:5} {found.kendall:6.3f} {interval:>16} {rung:>18}")


if __name__ == "__main__":
    main()
