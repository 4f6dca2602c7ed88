"""Searched networks against the MobileNets, scaled to the same phone latency and trained the same way, over seeds.

    python -m benchmarks.equal_latency --searched NAME=runs/NAME --data cifar10:PATH --out runs/cifar10_equal_latency

The reference networks get the width multiplier, in steps of 0.01, whose predicted latency on the device is nearest to
that of the first searched network. Every run is a `nas train` run in OUT/work and is skipped when it is finished,
resumed when it is not, so the script can be stopped at any time. OUT/result.json holds the seeds for which all networks
are done; the table for the page is printed. Give a full schedule (`--epochs 200` without `--subset`) where there is
the compute.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from latency_lut import LatencyTable
from latency_lut.devices import load_device
from latency_lut.predict import predict
from nas.jobs.train.prepare import prepare
from nas.jobs.train.run import run_job
from nas.jobs.train.settings import TrainSettings
from nas.training.execution import default_execution
from nas.training.history import EpochRecord
from searchspace.architecture import Architecture
from searchspace.reference import reference
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError
from searchspace.support.files import write_atomic

REFERENCES = ("mobilenet_v3_large", "mobilenet_v2", "mobilenext")


@dataclass(frozen=True)
class Contender:
    """A network of the comparison and what it costs at its own resolution (224 px)."""

    name: str
    network: str
    latency_ms: float
    madds: int
    params: int


class Quiet:
    """An observer that prints one line per epoch."""

    def __init__(self, label: str) -> None:
        self.label = label

    def step_done(self, epoch: int, step: int, steps: int, images: int) -> None:
        pass

    def epoch_done(self, record: EpochRecord) -> None:
        sys.stderr.write(
            f"{time.strftime('%H:%M:%S')} {self.label} epoch {record.epoch} loss {record.train_loss:.4f} "
            f"search {record.search.top1:.2f} % {record.images_per_second:.0f} images/s\n"
        )
        sys.stderr.flush()


def contender(name: str, network: str, architecture: Architecture, table: LatencyTable) -> Contender:
    latency = predict(table, architecture).latency_ms
    return Contender(name, network, latency, architecture.madds, architecture.params)


def scaled_to(name: str, latency_ms: float, table: LatencyTable) -> Contender:
    """Return the reference at the width whose latency is nearest to the given one."""
    candidates = [f"{name}_{width / 100:.2f}" for width in range(20, 141)]
    scaled = [contender(candidate, candidate, reference(candidate), table) for candidate in candidates]
    return min(scaled, key=lambda one: abs(one.latency_ms - latency_ms))


def contenders(searched: Sequence[str], device: str) -> list[Contender]:
    table = load_device(device)
    found = []
    for text in searched:
        name, equals, network = text.partition("=")
        if not equals:
            raise UserError(f"--searched {text}: expected NAME=NETWORK, such as searched={text}")
        architecture = resolve_network(network)
        found.append(contender(name, str(architecture), architecture, table))
    return [*found, *(scaled_to(name, found[0].latency_ms, table) for name in REFERENCES)]


def train_one(one: Contender, seed: int, options: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Return the result of one training run, from its folder where it is finished."""
    folder = out / "work" / f"{one.name}-seed{seed}"
    if not (folder / "result.json").exists():
        settings = TrainSettings(
            network=one.network,
            data=options.data,
            recipe=options.recipe,
            epochs=options.epochs,
            batch_size=options.batch_size,
            image_size=options.image_size,
            subset=options.subset,
            seed=seed,
        )
        job = prepare(settings, default_execution(), folder, resume=(folder / "settings.yaml").exists())
        run_job(job, Quiet(f"{one.name} seed {seed}"), checkpoint_seconds=30, export=False)
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def summary(contending: Sequence[Contender], out: Path, seeds: int) -> dict[str, Any]:
    """Return the accuracies of all seeds for which every network has finished."""
    files = {
        seed: {one.name: out / "work" / f"{one.name}-seed{seed}" / "result.json" for one in contending}
        for seed in range(seeds)
    }
    complete = [seed for seed, paths in files.items() if all(path.exists() for path in paths.values())]
    results = {seed: {name: json.loads(path.read_text()) for name, path in files[seed].items()} for seed in complete}
    networks = []
    for one in contending:
        tops = [results[seed][one.name]["test"]["top1"] for seed in complete]
        networks.append(
            {
                **asdict(one),
                "test_top1": tops,
                "mean": statistics.mean(tops) if tops else None,
                "spread": statistics.stdev(tops) if len(tops) > 1 else None,
                "training_seconds": [results[seed][one.name]["seconds"] for seed in complete],
                "test_images": results[complete[0]][one.name]["test"]["count"] if complete else 0,
                "train_images": results[complete[0]][one.name]["train_images"] if complete else 0,
            }
        )
    return {"seeds": complete, "networks": networks}


def table_of(found: dict[str, Any]) -> str:
    """Return the comparison as a table in Markdown."""
    rows = [
        "| network | Pixel 1, ms | MAdds, M | parameters, M | test top-1, % (mean ± spread) | each seed |",
        "|--|--|--|--|--|--|",
    ]
    for one in found["networks"]:
        mean = f"{one['mean']:.2f}" if one["mean"] is not None else "not finished"
        spread = f" ± {one['spread']:.2f}" if one["spread"] is not None else ""
        each = ", ".join(f"{top:.2f}" for top in one["test_top1"])
        cost = f"{one['latency_ms']:.2f} | {one['madds'] / 1e6:.1f} | {one['params'] / 1e6:.2f}"
        rows.append(f"| {one['name']} | {cost} | {mean}{spread} | {each} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searched", required=True, action="append", metavar="NAME=NETWORK")
    parser.add_argument("--data", required=True)
    parser.add_argument("--device", default="pixel")
    parser.add_argument("--recipe", default="short")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--subset", type=int)
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--until", help="start no further run after this local time, HH:MM")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    contending = contenders(options.searched, options.device)
    config = {key: str(value) for key, value in vars(options).items() if key not in ("out", "until")}
    config["searched"] = ", ".join(options.searched)
    config |= {"threads": str(torch.get_num_threads()), "torch": str(torch.__version__), "machine": platform.machine()}
    options.out.mkdir(parents=True, exist_ok=True)
    write_atomic(options.out / "config.yaml", yaml.safe_dump(config, sort_keys=False))
    for seed in range(options.seeds):
        for one in contending:
            if options.until and time.strftime("%H:%M") >= options.until:
                break
            train_one(one, seed, options, options.out)
            found = summary(contending, options.out, options.seeds)
            write_atomic(options.out / "result.json", json.dumps({"config": config, **found}, indent=2) + "\n")
    print(table_of(summary(contending, options.out, options.seeds)))


if __name__ == "__main__":
    main()
