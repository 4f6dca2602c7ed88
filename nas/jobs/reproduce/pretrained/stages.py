"""The stages: fine-tune MobileNetV2, then every method at three quarters and at half of its latency."""

from __future__ import annotations

import json
import math
import statistics
import time
from pathlib import Path
from typing import Any

from latency_lut.devices import load_device
from latency_lut.predict import predict
from nas.data import Data
from nas.export import export_network
from nas.jobs.reproduce.findings import Findings, Picture, Table
from nas.jobs.reproduce.pipeline import Context, Experiment, Stage
from nas.jobs.reproduce.pretrained.methods import METHODS
from nas.jobs.reproduce.pretrained.picture import draw_comparison
from nas.jobs.reproduce.pretrained.problem import (
    DEVICE,
    IMAGE_PX,
    NETWORK,
    SHARES,
    SIZES,
    Problem,
    Size,
    load_images,
    seed_file,
    weights_file,
)
from nas.training.evaluation import evaluate
from nas.training.loop import train
from nas.training.recipes import fine_tune
from nas.training.start import start_on
from nas.weights import open_weights
from netadapt.pruning import sorted_channels
from searchspace.modules import Network, empty_network
from searchspace.reference import reference
from searchspace.support.files import write_atomic
from searchspace.weights import load_network, read_weights, save_weights

PICTURE, MINUTES = "comparison.png", "processor_minutes"


def _fine_tuned(context: Context) -> Findings:
    """Fine-tune the network, once for all methods and seeds."""
    settings, size = context.settings, SIZES[context.settings.scale]
    data = load_images(settings, size, settings.seed)
    path = seed_file(context.folder)
    if not path.exists():
        _fine_tune(context, data, path)
    network = load_network(path).eval()
    problem = Problem(size=size, data=data, network=network, table=load_device(DEVICE), seed=settings.seed)
    row = _measured(problem, network, context.folder / "seed.tflite")
    row["minutes"] = float(read_weights(path)[2][MINUTES])
    table = Table(
        title="The network that all methods start from",
        columns=("network", "top-1, %", "Pixel 1, ms", "90 % interval", "TFLite here, ms", "processor minutes"),
        rows=[("MobileNetV2, fine-tuned", *_printed(row))],
        note=f"MobileNetV2 from its ImageNet weights, fine-tuned for {size.seed_epochs} epochs of {len(data.train)} "
        f"images at {IMAGE_PX} px ({len(data.search)} more compare candidates); {len(data.test_split())} test images.",
    )
    smaller = f"{size.images} training images, {size.seed_epochs} epochs, one fine-tuning for all seeds."
    return Findings(tables=[table], figures={"network": row}, scaled_down=smaller)


def _fine_tune(context: Context, data: Data, path: Path) -> None:
    settings, size = context.settings, SIZES[context.settings.scale]
    started = time.process_time()
    asked = reference(NETWORK).with_resolution(IMAGE_PX)
    weights = open_weights(weights_file(settings), reference(NETWORK))
    start = start_on(asked, data, weights, seed=settings.seed)
    train(start.network, data, fine_tune(size.seed_epochs), seed=settings.seed)
    state = {name: tensor.cpu().contiguous() for name, tensor in start.network.state_dict().items()}
    network = empty_network(start.network.architecture).eval()
    network.load_state_dict(sorted_channels(network.architecture, state))
    save_weights(network, path, **{MINUTES: f"{(time.process_time() - started) / 60:.2f}"})


def _compared(context: Context) -> Findings:
    """Run what is left of every share, seed and method; each finished one is a file in the folder."""
    size = SIZES[context.settings.scale]
    todo = [
        (share, number, name)
        for number in range(max(size.seeds.values()))
        for share in SHARES
        if number < size.seeds[share]
        for name in METHODS
    ]
    found: list[dict[str, Any]] = []
    for done, (share, number, name) in enumerate(todo, start=1):
        found.append(entry(context, share, context.settings.seed + number, name))
        context.report(done, len(todo))
    draw_comparison(found, context.folder / PICTURE)
    return Findings(
        tables=[_table(share, [one for one in found if one["share"] == share]) for share in SHARES],
        pictures=[Picture(title="Accuracy at equal latency", file=PICTURE, note="One point for each seed.")],
        text=_said(found),
        figures={"runs": found},
        scaled_down=_scaled(size),
    )


def entry(context: Context, share: float, seed: int, name: str) -> dict[str, Any]:
    """Return what a method reached at a share of the latency with a seed, from its file where it is finished."""
    label = f"{round(100 * share)}-{seed}-{name.replace(',', '').replace(' ', '-').replace(chr(39), '')}"
    path = context.folder / f"{label}.json"
    if path.is_file():
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept
    size = SIZES[context.settings.scale]
    network = load_network(seed_file(context.folder.parent / "01-seed")).eval()
    # The images are those of the fine-tuning for every seed: it saw none of the search split.
    data = load_images(context.settings, size, context.settings.seed)
    problem = Problem(size=size, data=data, network=network, table=load_device(DEVICE), seed=seed)
    started = time.process_time()
    made = METHODS[name](problem, problem.limit_ms(share), context.folder / label)
    before = evaluate(problem.measured_anew(made.network), problem.judged()).top1
    trained = problem.train(made.network, size.passes - made.spent, made.rate)
    minutes = (time.process_time() - started) / 60
    measured = _measured(problem, made.network, context.folder / f"{label}.tflite")
    found = {
        "method": name, "share": share, "seed": seed, **measured, "minutes": minutes, "spent": made.spent,
        "trained": trained, "top1_before": before, "tests": len(data.test_split()), "limit_ms": problem.limit_ms(share),
        "architecture": str(made.network.architecture),
    }  # fmt: skip
    write_atomic(path, json.dumps(found, indent=1) + "\n")
    context.say(f"{label}: {found['top1']:.1f} % at {found['latency_ms']:.1f} ms, {minutes:.1f} processor minutes")
    return found


def _measured(problem: Problem, network: Network, file: Path) -> dict[str, float]:
    """Return test accuracy, predicted latency and TFLite time here of a network."""
    network.eval().to(device="cpu")
    record = export_network(network, file, trained=True)
    file.unlink()
    priced = predict(problem.table, network.architecture)
    return {
        "top1": evaluate(network, problem.tested()).top1,
        "latency_ms": priced.latency_ms,
        "low_ms": priced.low_ms,
        "high_ms": priced.high_ms,
        "tflite_ms": record.host_latency_ms,
    }


def _printed(row: dict[str, Any]) -> tuple[str, ...]:
    interval = f"{row['low_ms']:.1f} to {row['high_ms']:.1f}"
    return (
        f"{row['top1']:.1f}",
        f"{row['latency_ms']:.1f}",
        interval,
        f"{row['tflite_ms']:.2f}",
        f"{row['minutes']:.1f}",
    )


def _table(share: float, found: list[dict[str, Any]]) -> Table:
    rows = []
    for name in METHODS:
        runs = [one for one in found if one["method"] == name]
        mean = {key: statistics.mean(one[key] for one in runs) for key in runs[0] if isinstance(runs[0][key], float)}
        spread = statistics.stdev([one["top1"] for one in runs]) if len(runs) > 1 else None
        top1, *others = _printed(mean)
        spent, trained = runs[0]["spent"], runs[0]["trained"]
        before = statistics.mean(one["top1_before"] for one in runs)
        spread_text = f" ± {spread:.1f}" if spread is not None else ""
        rows.append((name, top1 + spread_text, f"{before:.0f}", *others, f"{spent} + {trained}"))
    columns = (
        "method", "top-1, %", "before, %", "Pixel 1, ms", "90 % interval", "TFLite here, ms", "processor minutes",
        "passes",
    )  # fmt: skip
    return Table(
        title=f"{100 * share:.0f} % of its latency: at most {found[0]['limit_ms']:.1f} ms by the interval's upper end",
        columns=columns,
        rows=rows,
        note=f"Mean of {len({one['seed'] for one in found})} runs, behind ± the standard deviation of one; "
        f"{found[0]['tests']} test images. Before: top-1 on images that compare candidates before the last training. "
        "Passes: training images through supernet, teacher and rejected proposals, then through the network itself, of "
        "the first run; images that only compare candidates cost minutes but are not counted. TFLite: float32 on this "
        "machine, while other programs used the processor.",
    )


def noise_points(tests: int) -> float:
    """Return the standard deviation, in points, of a top-1 near 60 % on so many test images."""
    return 100 * math.sqrt(0.24 / tests)


def _said(found: list[dict[str, Any]]) -> list[str]:
    """Compare the best of search and NetAdapt with uniform width at each share."""
    lines = []
    for share in SHARES:
        mean = {
            name: statistics.mean(one["top1"] for one in found if (one["method"], one["share"]) == (name, share))
            for name in METHODS
        }
        names = [name for name in METHODS if name.startswith(("found", "NetAdapt"))]
        best = max(names, key=lambda name: mean[name])
        lines.append(
            f"At {100 * share:.0f} %: {best} is {mean[best] - mean['uniform width']:+.1f} points against uniform width "
            f"({mean[best]:.1f} and {mean['uniform width']:.1f} %); uniform width from scratch "
            f"{mean['uniform width from scratch']:.1f} %."
        )
    lines.append(
        f"The {found[0]['tests']} test images give each run a standard deviation of about "
        f"{noise_points(found[0]['tests']):.1f} points beside that of its seed. All start from one fine-tuned network: "
        "how much that differs from one fine-tuning to another is not in these figures."
    )
    lines.append(
        "NetAdapt's original rule and the width multiplier may narrow the stem and the head, the search's space and "
        "NetAdapt by MobileNetV3's rule may not; depth and kernels change only in the search."
    )
    return lines


def _scaled(size: Size) -> str:
    return (
        f"{size.images} training images, {size.passes} passes for each method, "
        f"{' and '.join(f'{count} runs at {100 * share:.0f} %' for share, count in size.seeds.items())}, candidates "
        f"compared on {size.judged} images, {size.evaluations} networks searched."
    )


PRETRAINED = Experiment(
    name="pretrained",
    title="From a pretrained MobileNetV2 to a faster network",
    about="A user has ImageNet weights and a few images: what gives the best network at three quarters and at half of "
    "the latency, after the same training?",
    stages=(
        Stage("seed", "MobileNetV2, fine-tuned", _fine_tuned),
        Stage("compare", "Search, NetAdapt and their rivals", _compared),
    ),
)
