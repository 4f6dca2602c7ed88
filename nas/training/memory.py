"""Keeping freed memory for the next step, where the C library would give it back to the system each time."""

from __future__ import annotations

import ctypes
import platform

# malloc.h of glibc.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGE, FOR_EVER = 1 << 30, 2**31 - 1
DEFAULT = 128 * 1024


def keep_freed_memory(keep: bool = True) -> bool:
    """Let glibc reuse the memory of large tensors in this process, or not; return whether it does as told.

    By default every tensor of more than some megabytes is mapped and unmapped, and each of its pages is filled with
    zeros by the system again: about a tenth of a training step's time on a CPU (`benchmarks/train_step.py`).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    mapped, trimmed = (LARGE, FOR_EVER) if keep else (DEFAULT, DEFAULT)
    return mallopt is not None and bool(mallopt(M_MMAP_THRESHOLD, mapped) and mallopt(M_TRIM_THRESHOLD, trimmed))
