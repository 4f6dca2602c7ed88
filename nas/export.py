"""From a network to a TFLite file that has really run: write, mark, compare with torch, time on this machine.

A file says of itself whether its weights are trained, both in the model's description (shown by every viewer) and in
a metadata entry `nas.weights`, so that an untrained export is never mistaken for a classifier.
"""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import nas
from searchspace.support.errors import UserError
from searchspace.support.files import write_atomic

if TYPE_CHECKING:
    from torch import nn

    from searchspace.modules import Network

METADATA_KEY = "nas.weights"
TRAINED, UNTRAINED = "trained", "untrained"
# XNNPACK sums in another order than torch; over a MobileNet's depth that stays below this share of the output's range.
AGREEMENT = 1e-3
# Near ties may fall the other way; a file that answers otherwise more often is not the network that was tested.
SAME_ANSWERS_PCT = 95


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRecord:
    """What is known of an exported file; `output_error` is the largest difference to torch over the output's range."""

    file: str
    weights: str
    resolution: int
    size_bytes: int
    output_error: float
    host_latency_ms: float
    host_spread: float
    host_runs: int
    host_threads: int
    host: str
    runtime: str

    def as_dict(self) -> dict[str, Any]:
        """Return the record as JSON-ready values."""
        return asdict(self)


def export_network(
    network: Network, path: str | Path, *, trained: bool, seed: int = 0, threads: int = 1
) -> ExportRecord:
    """Write a network at its architecture's resolution as a TFLite file, run it and time it on this machine.

    `trained` says what the file tells of its weights; `seed` draws the images for comparing with torch. Raises
    UserError when the outputs differ from torch's, in which case no file is left, or a needed package is missing.
    """
    content, error = _model(network, TRAINED if trained else UNTRAINED, seed)
    return _written(network, path, content, TRAINED if trained else UNTRAINED, error, threads)


def _model(network: Network, state: str, seed: int) -> tuple[bytes, float]:
    """Return the content of the file and how far its outputs are from torch's; raises UserError where too far."""
    from latency_lut.tflite import module_model

    size = network.architecture.resolution
    content = module_model(
        network,
        (1, 3, size, size),
        description=f"nas {nas.__version__}: {state} weights",
        metadata={METADATA_KEY: state.encode()},
    )
    error = output_error(network, content, size, seed)
    if error > AGREEMENT:
        raise UserError(
            f"the exported model's outputs differ from torch's by {error:.2%} of their range, expected at most "
            f"{AGREEMENT:.1%}; no file was written. Check the versions of torch and ai-edge-litert."
        )
    return content, error


def _written(
    network: Network, path: str | Path, content: bytes, state: str, error: float, threads: int
) -> ExportRecord:
    from latency_lut.measure.litert import benchmark
    from latency_lut.tflite.runtime import runtime_version

    path = Path(path)
    write_atomic(path, content)
    timing = benchmark(path, threads)
    return ExportRecord(
        file=path.name,
        weights=state,
        resolution=network.architecture.resolution,
        size_bytes=len(content),
        output_error=error,
        host_latency_ms=timing.median_ms,
        host_spread=timing.spread,
        host_runs=timing.runs,
        host_threads=threads,
        host=host_name(),
        runtime=runtime_version(),
    )


def weights_mark(path: str | Path) -> str:
    """Return `trained` or `untrained` as a TFLite file says of itself, or an empty text where it does not say."""
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(path))
    for entry in model.metadata or ():
        if entry.name == METADATA_KEY.encode():
            return bytes(model.buffers[entry.buffer].data).decode()
    return ""


def output_error(network: nn.Module, model: str | Path | bytes, size: int, seed: int = 0, images: int = 2) -> float:
    """Return the largest difference between a file's and torch's outputs on noise, over the range of torch's."""
    import torch

    from latency_lut.tflite.runtime import run

    inputs = np.random.default_rng(seed).standard_normal((images, 3, size, size), np.float32)
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(inputs)).numpy()
    found = run(model, np.moveaxis(inputs, 1, -1))
    return float(np.abs(found - expected).max() / np.ptp(expected))


@dataclass(frozen=True, slots=True)
class AccuracyCheck:
    """Top-1 in percent of one set of labelled images in torch and in the exported file, and how often they agree."""

    images: int
    torch_top1: float
    tflite_top1: float
    same_answer_pct: float


def check_accuracy(
    network: nn.Module, model: str | Path | bytes, images: NDArray[np.float32], labels: NDArray[np.integer[Any]]
) -> AccuracyCheck:
    """Classify `images` (count, 3, height, width), preprocessed, with `network` and its exported file or content."""
    import torch

    from latency_lut.tflite.runtime import run

    with torch.no_grad():
        batches = (torch.from_numpy(images[start : start + 64]) for start in range(0, len(images), 64))
        expected = torch.cat([network.eval()(batch).argmax(1) for batch in batches]).numpy()
    found = run(model, np.moveaxis(images, 1, -1)).argmax(1)
    return AccuracyCheck(
        images=len(images),
        torch_top1=100 * float(np.mean(expected == labels)),
        tflite_top1=100 * float(np.mean(found == labels)),
        same_answer_pct=100 * float(np.mean(found == expected)),
    )


def export_trained(
    network: Network,
    path: str | Path,
    images: NDArray[np.float32],
    labels: NDArray[np.integer[Any]],
    *,
    seed: int = 0,
    threads: int = 1,
) -> tuple[ExportRecord, AccuracyCheck]:
    """Export a trained network: a file is marked so, and written, only where it classifies `images` as torch does.

    Images are those of `check_accuracy`. Raises UserError as `export_network` does, and where the answers differ.
    """
    content, error = _model(network, TRAINED, seed)
    check = check_accuracy(network, content, images, labels)
    if check.same_answer_pct < SAME_ANSWERS_PCT:
        raise UserError(
            f"the exported model answers as torch on {check.same_answer_pct:.1f} % of {check.images} images, expected "
            f"at least {SAME_ANSWERS_PCT:g} %; no file was written. Check the versions of torch and ai-edge-litert."
        )
    return _written(network, path, content, TRAINED, error, threads), check


def host_name() -> str:
    """Return this machine's processor and system in a few words."""
    processor = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    except OSError:
        pass  # not Linux: the platform module's answer has to do
    return f"{processor}, {platform.system()} {platform.machine()}"
