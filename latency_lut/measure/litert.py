"""Converting a torch module to a TFLite file, running it and timing it with LiteRT and XNNPACK on this machine.

A converted file takes channel-last images, (1, height, width, channels): LiteRT computes channel-last, and a
channel-first input would only add a transpose. An int8 file is integer throughout (int8 weights per output channel,
int8 activations, int8 input and output), as phones run quantised models.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from latency_lut.measure.errors import missing_package
from searchspace.support.errors import UserError
from searchspace.support.files import write_atomic

if TYPE_CHECKING:
    from torch import nn

Precision = Literal["float32", "int8"]
Images = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Timing:
    """Repeated timings of one model.

    `undisturbed_ms` is the tenth percentile: where other programs use the machine too, disturbance only ever adds, and
    this repeats to a fraction of a percent where the median wanders by several. `spread` is the runs' robust standard
    deviation, relative to the median.
    """

    median_ms: float
    undisturbed_ms: float
    spread: float
    runs: int

    @classmethod
    def of(cls, samples_ms: Sequence[float]) -> Timing:
        """Summarise single runs in ms; the spread comes from the quartiles, so that stalls do not inflate it."""
        tenth, low, median, high = np.percentile(samples_ms, (10, 25, 50, 75)).tolist()
        # Interquartile range to standard deviation, for a normal distribution.
        return cls(median, tenth, (high - low) / 1.349 / median, len(samples_ms))

    @property
    def median_error(self) -> float:
        """Half-width of the 95 % interval of the median, relative to it (1.253 sigma / sqrt(n), normal theory)."""
        return 1.96 * 1.2533 * self.spread / float(np.sqrt(self.runs))


def convert(
    module: nn.Module,
    example_shape: tuple[int, int, int, int],
    path: str | Path,
    quantise: Literal["int8"] | None = None,
    calibration_images: Images | None = None,
) -> Path:
    """Convert a module that takes `example_shape` (1, channels, height, width) to a TFLite file.

    The file takes channel-last images. `calibration_images` (count, channels, height, width), float32, set the ranges
    of an int8 model; without them ranges come from standard normal noise, enough for timing and nothing else.
    Raises UserError when litert-torch is not installed.
    """
    try:
        with _quiet_conversion():
            import litert_torch
    except ImportError as error:
        raise missing_package("exporting to TFLite", error) from error
    import torch

    from searchspace.modules import fold_batch_norm

    with _quiet_conversion():
        # A folded network converts to the same operators in less than two thirds of the time.
        channel_last = litert_torch.to_channel_last_io(fold_batch_norm(module), args=[0])
        batch, channels, height, width = example_shape
        model = litert_torch.convert(channel_last, (torch.zeros(batch, height, width, channels),))
        content: bytes = model.model_content()
    if quantise == "int8":
        images = None if calibration_images is None else np.moveaxis(calibration_images, 1, -1)
        content = quantise_int8(content, images)
    write_atomic(path, content)
    return Path(path)


def quantise_int8(content: bytes, images: Images | None = None, seed: int = 0) -> bytes:
    """Return the full-integer version of a float TFLite model with one signature.

    `images` (count, height, width, channels) calibrate the ranges of its only input; without them, or for several
    inputs, standard normal noise does. Raises UserError when ai-edge-quantizer is not installed.
    """
    try:
        from ai_edge_quantizer import quantizer, recipe
    except ImportError as error:
        raise missing_package("int8 models", error) from error
    (signature,) = load(content).get_signature_list()
    runner = load(content).get_signature_runner(signature)
    rng = np.random.default_rng(seed)
    shapes = {name: tuple(detail["shape"]) for name, detail in runner.get_input_details().items()}
    if images is not None and len(shapes) == 1:
        name, shape = next(iter(shapes.items()))
        samples = [{name: image.astype(np.float32).reshape(shape)} for image in images]
    else:
        samples = [{name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()} for _ in range(2)]
    with _quiet_conversion():
        quantiser = quantizer.Quantizer(bytearray(content), recipe.static_wi8_ai8())
        ranges = quantiser.calibrate({signature: samples}, num_threads=1)
        quantised = quantiser.quantize(ranges).quantized_model
    assert quantised is not None
    return bytes(quantised)


def load(model: str | Path | bytes, threads: int = 1) -> Any:
    """Return a LiteRT interpreter, tensors allocated, of a TFLite file or its content.

    Raises UserError when LiteRT is not installed or the model cannot be read.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise missing_package("running TFLite models", error) from error
    source = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
    try:
        with _quiet_greeting():
            interpreter = Interpreter(num_threads=threads, **source)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        where = "the model" if isinstance(model, bytes) else str(model)
        raise UserError(f"LiteRT cannot run {where}: {error}") from error
    return interpreter


def run(path: str | Path | bytes, inputs: Images, threads: int = 1) -> Images:
    """Run the model on `inputs` (count, height, width, channels), float, and return float outputs (count, classes).

    An int8 model's input is quantised and its output dequantised with the scales in the file.
    """
    interpreter = load(path, threads)
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs = []
    for image in inputs:
        interpreter.set_tensor(source["index"], _quantised(image[None], source))
        interpreter.invoke()
        outputs.append(_dequantised(interpreter.get_tensor(target["index"]), target)[0])
    return np.stack(outputs)


def benchmark(
    model: str | Path | bytes,
    threads: int = 1,
    *,
    warmup_s: float = 0.05,
    target_error: float = 0.02,
    min_runs: int = 31,
    max_s: float = 2.0,
    seed: int = 0,
) -> Timing:
    """Time a model on this machine: runs until the median's 95 % interval is within `target_error`, or `max_s`.

    Inputs are uniform noise from `seed`. One thread is timed by its processor time, which equals the time on the wall
    of an idle machine and leaves out the moments in which other programs held the core; several threads are timed by
    the wall.
    """
    clock_ns = time.thread_time_ns if threads == 1 else time.perf_counter_ns
    interpreter = load(model, threads)
    fill_inputs(interpreter, seed)
    end_warmup = time.perf_counter() + warmup_s
    interpreter.invoke()
    while time.perf_counter() < end_warmup:
        interpreter.invoke()
    samples_ms: list[float] = []
    deadline = time.perf_counter() + max_s
    while True:
        start_ns = clock_ns()
        interpreter.invoke()
        samples_ms.append((clock_ns() - start_ns) / 1e6)
        if len(samples_ms) < min_runs:
            continue
        # Checking costs more than a small model's run, so it is done at growing intervals.
        if time.perf_counter() > deadline or len(samples_ms) % max(1, len(samples_ms) // 8) == 0:
            timing = Timing.of(samples_ms)
            if timing.median_error <= target_error or time.perf_counter() > deadline:
                return timing


def fill_inputs(interpreter: Any, seed: int = 0) -> None:
    """Fill every input with uniform noise of its type: an untouched input may hold denormals, which run slower."""
    rng = np.random.default_rng(seed)
    for detail in interpreter.get_input_details():
        noise = rng.uniform(-1, 1, detail["shape"])
        dtype = detail["dtype"]
        values = noise * 127 if np.issubdtype(dtype, np.integer) else noise
        interpreter.set_tensor(detail["index"], values.astype(dtype))


def delegated_partitions(interpreter: Any) -> int:
    """Return how many partitions of the graph XNNPACK took over: 1 when all of it, 0 when none."""
    return sum(detail["op_name"] == "DELEGATE" for detail in interpreter._get_ops_details())


def runtime_version() -> str:
    """Return the name and version of the runtime that times models here."""
    from importlib.metadata import version

    return f"ai-edge-litert {version('ai-edge-litert')} (XNNPACK)"


def _quantised(values: Images, detail: Any) -> Images:
    if np.issubdtype(detail["dtype"], np.floating):
        return values.astype(detail["dtype"])
    scale, zero_point = detail["quantization"]
    limits = np.iinfo(detail["dtype"])
    quantised: Images = np.clip(np.round(values / scale) + zero_point, limits.min, limits.max).astype(detail["dtype"])
    return quantised


def _dequantised(values: Images, detail: Any) -> Images:
    if np.issubdtype(detail["dtype"], np.floating):
        return values
    scale, zero_point = detail["quantization"]
    real: Images = ((values.astype(np.float32) - zero_point) * scale).astype(np.float32)
    return real


@contextlib.contextmanager
def _quiet_conversion() -> Iterator[None]:
    """Keep the converters' progress and logs, native ones included, off the terminal; errors still raise."""
    os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            open(os.devnull, "w") as sink,
            contextlib.redirect_stdout(sink),
            _native_stderr_to(sink.fileno()),
        ):
            yield
    finally:
        logging.disable(level)


@contextlib.contextmanager
def _quiet_greeting() -> Iterator[None]:
    """Keep off the terminal what XNNPACK says natively when a process first uses it."""
    if next(_greeting, None) is None:
        yield
        return
    with open(os.devnull, "w") as sink, _native_stderr_to(sink.fileno()):
        yield


_greeting = iter(["once"])


@contextlib.contextmanager
def _native_stderr_to(descriptor: int) -> Iterator[None]:
    saved = os.dup(2)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
