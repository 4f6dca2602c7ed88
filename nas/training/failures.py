"""The failures of training that a person can mend, said with what to change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from searchspace.support.errors import UserError


def check_loss(loss: Tensor, learning_rate: float, place: str) -> None:
    """Raise UserError when a loss is no longer finite."""
    if not torch.isfinite(loss).all():
        raise UserError(
            f"the loss is no longer finite at {place}, with learning rate {learning_rate:.4g}: training diverged. "
            "Use a lower --learning-rate, a longer warm-up, gradient clipping (--clip-norm 5), or float32 instead "
            "of bfloat16; --resume continues from the last good checkpoint"
        )


def check_state(state: Mapping[str, Any], place: str) -> None:
    """Raise UserError naming the first tensor of a state, however nested, that is no longer finite."""
    name = _not_finite(state)
    if name is not None:
        raise UserError(
            f"{name} is no longer finite at {place}: training diverged, and the checkpoint before it is kept. Use a "
            "lower --learning-rate, a longer warm-up, gradient clipping (--clip-norm 5), or float32 instead of bfloat16"
        )


def _not_finite(value: Any, name: str = "") -> str | None:
    if isinstance(value, Tensor):
        return name if value.is_floating_point() and not torch.isfinite(value).all() else None
    if isinstance(value, Mapping):
        return next((bad for key, one in value.items() if (bad := _not_finite(one, f"{name}.{key}".lstrip(".")))), None)
    return None


@contextmanager
def explained_failures(batch_size: int, image_size: int) -> Iterator[None]:
    """Turn running out of memory, on a GPU or the CPU, into a UserError that says what to make smaller."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise UserError(
            f"a step of one image whose last feature map is a single pixel has nothing to normalise over (batches of "
            f"{batch_size}, images of {image_size} px): use a larger --batch-size that leaves no single image over, a "
            "larger --image-size, or --drop-strides"
        ) from error
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise UserError(
            f"out of memory with {batch_size} images of {image_size} px per step; use a smaller --batch-size "
            f"(for example {max(1, batch_size // 2)}; the learning rate follows), a smaller --image-size, or bf16"
        ) from error


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
