"""How a run uses its machine: device, precision, memory layout, compilation. None decides what is learnt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from searchspace.support.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How training steps are carried out; see `benchmarks/train_step.py` for what each option is worth.

    `device` is "cpu", "cuda", "cuda:1" and so on. `bf16` computes in bfloat16 with float32 weights; None leaves that to
    a measurement (`for_steps_of`), and is float32 until then. `compile` passes the network through torch.compile.
    `evaluation_batch` counts images per evaluation batch.
    """

    device: str = "cpu"
    bf16: bool | None = False
    channels_last: bool = True
    compile: bool = False
    evaluation_batch: int = 256

    def __post_init__(self) -> None:
        kind = self.device.partition(":")[0]
        if kind not in ("cpu", "cuda"):
            raise UserError(f"unknown torch device '{self.device}'; expected cpu, cuda, or cuda:NUMBER")
        if kind == "cuda" and not torch.cuda.is_available():
            raise UserError(f"the torch device '{self.device}' was asked for but torch sees no GPU; use cpu")

    def prepare(self, network: nn.Module) -> nn.Module:
        """Move a network, in place, to the device and memory layout."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return network.to(device=self.device, memory_format=layout)  # type: ignore[call-overload, no-any-return]

    def place(self, images: Tensor) -> Tensor:
        """Return images (n, 3, h, w) on the device and in the memory layout."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return images.to(device=self.device, memory_format=layout, non_blocking=True)

    def compiled(self, network: nn.Module) -> nn.Module:
        """Return the network through torch.compile where that was asked for, sharing its weights."""
        return cast(nn.Module, torch.compile(network)) if self.compile else network

    def autocast(self) -> torch.autocast:
        """Return the context in which a forward pass computes with the chosen precision."""
        return torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16, enabled=bool(self.bf16))

    def for_steps_of(self, madds: float) -> Execution:
        """Return this with its precision decided, for steps whose forward pass takes so many multiply-adds.

        Small steps and processors on which bfloat16 gains less than a quarter are left in float32.
        """
        if self.bf16 is not None:
            return self
        from nas.training.precision import SMALLEST_STEP_MADDS, bfloat16_pays

        return replace(self, bf16=madds >= SMALLEST_STEP_MADDS and bfloat16_pays())


def default_execution(device: str | None = None) -> Execution:
    """Return what pays on the machine at hand.

    On a GPU bfloat16 and channels-last; on a CPU channels-last, in the precision that is measured to be faster.
    """
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return replace(Execution(device=chosen), bf16=True if chosen.startswith("cuda") else None)


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Make torch's random numbers and algorithm choices a function of the seed, and put both back
    afterwards."""
    devices = list(range(torch.cuda.device_count()))
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=True)
    with torch.random.fork_rng(devices), flags:
        torch.manual_seed(seed)
        yield


@contextmanager
def thread_limit(threads: int) -> Iterator[None]:
    """Compute with this many threads: sums depend on how they are split, and every engine must give the same."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
