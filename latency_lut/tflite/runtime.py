"""Running TFLite files with LiteRT and XNNPACK on this machine.

Files take channel-last images, (1, height, width, channels).
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchspace.support.errors import UserError
from searchspace.support.optional import missing_package

Images = NDArray[Any]


def schema(purpose: str) -> Any:
    """Return the classes of the TFLite schema; raises UserError when LiteRT, which brings them, is not installed."""
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise missing_package(purpose, "litert", error) from error
    return schema_py_generated


def unpacked(content: bytes) -> Any:
    """Return a file as the schema's ModelT, with every buffer's data in it.

    Data may also lie behind the model, as ai-edge-quantizer writes it; raises what a damaged file makes it raise.
    """
    model = schema("reading TFLite models").ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def check_readable(content: bytes, where: str) -> None:
    """Raise UserError unless LiteRT finds the content to be a whole TFLite model of operators it knows."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise missing_package("reading TFLite models", "litert", error) from error
    try:
        with quiet():
            Interpreter(model_content=content)
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{where} is no TFLite model: {error}") from error


def load(model: str | Path | bytes, threads: int = 1) -> Any:
    """Return a LiteRT interpreter, tensors allocated, of a TFLite file or its content.

    Raises UserError when LiteRT is not installed or the model cannot be read.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise missing_package("running TFLite models", "litert", error) from error
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


def run_named(model: str | Path | bytes, inputs: Images, threads: int = 1) -> dict[str, Images]:
    """Run a model on `inputs` (count, height, width, channels), float; return float outputs by name, count first.

    An int8 model's input is quantised and its outputs dequantised with the scales in the file.
    """
    runner = load(model, threads).get_signature_runner()
    ((source, detail),) = runner.get_input_details().items()
    targets = runner.get_output_details()
    rows = [runner(**{source: _quantised(image[None], detail)}) for image in inputs]
    return {name: np.concatenate([_dequantised(row[name], targets[name]) for row in rows]) for name in rows[0]}


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
def quiet() -> Iterator[None]:
    """Keep progress and logs of a library, native ones included, off the terminal; errors still raise."""
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
