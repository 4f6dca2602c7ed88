"""Whether a CPU trains faster in bfloat16, measured once on each machine and then remembered."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from searchspace.modules import ConvBNAct
from searchspace.support.errors import UserError
from searchspace.support.files import write_atomic
from searchspace.support.folders import cache_folder
from searchspace.support.json_text import read_json_object

# bfloat16 rounds to 8 bits; it has to be worth that.
WORTH_WHILE = 1.25
# Smaller steps are bound by calls, not by arithmetic: multiply-adds of a batch's forward pass.
SMALLEST_STEP_MADDS = 100e6
ROUNDS = 6


def bfloat16_pays() -> bool:
    """Tell whether a training step in bfloat16 is at least a quarter faster on this CPU; measured the first time.

    The answer is kept in the cache folder for this processor, torch version and number of threads, so that runs with
    the same seed compute the same numbers.
    """
    return bfloat16_speed_up() >= WORTH_WHILE


def bfloat16_speed_up() -> float:
    """Return the time of a float32 step over that of a bfloat16 one, as first measured on this machine."""
    return _known_or_measured(torch.get_num_threads())


@lru_cache(maxsize=4)
def _known_or_measured(threads: int) -> float:
    if not any(name in _processor() for name in ("avx512_bf16", "amx_bf16", "bf16")):
        return 0.0  # emulated
    kept = _kept_at(threads)
    try:
        return float(read_json_object(kept, "measurement")["bfloat16_speed_up"])
    except (UserError, KeyError, TypeError, ValueError):
        found = measured_speed_up()
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, json.dumps({"bfloat16_speed_up": found, "threads": threads, "torch": torch.__version__}))
    except OSError:
        pass  # measured again by the next process
    return found


def measured_speed_up() -> float:
    """Time an inverted residual block forward and backward in both precisions, in turn; some tenths of a second."""
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay what they were
        layers = (ConvBNAct(64, 256), ConvBNAct(256, 256, kernel=5, depthwise=True), ConvBNAct(256, 64))
    block = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.ones(32, 64, 14, 14).contiguous(memory_format=torch.channels_last)
    seconds: dict[bool, float] = {False: float("inf"), True: float("inf")}
    for number in range(1 + ROUNDS):
        for bf16 in seconds:
            started = time.process_time()
            with torch.enable_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                loss = functional.mse_loss(block(images).float(), images)
            loss.backward()
            block.zero_grad(set_to_none=True)
            if number:  # the first one warms up
                seconds[bf16] = min(seconds[bf16], time.process_time() - started)
    return seconds[False] / seconds[True]


def _kept_at(threads: int) -> Path:
    key = hashlib.sha256(f"{_processor()} {torch.__version__} {threads}".encode()).hexdigest()[:16]
    return cache_folder() / f"precision-{key}.json"


@lru_cache(maxsize=1)
def _processor() -> str:
    """Name the processor with its instructions, as Linux does; elsewhere by its name alone."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n", maxsplit=1)[0].splitlines()
    except OSError:
        return platform.processor()
    told = ("vendor_id", "cpu family", "model", "stepping", "flags", "Features", "CPU part")
    return "\n".join(line for line in lines if line.partition("\t")[0].partition(":")[0].strip() in told)
