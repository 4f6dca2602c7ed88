"""Several GPUs, or several processes on a CPU, through torch's own DistributedDataParallel and `torchrun`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch import distributed as dist

from nas.data.batches import Shard
from nas.training.step import ConfiguresLayers


def launched_by_torchrun() -> bool:
    """Whether `torchrun` started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def process_group() -> Iterator[Shard]:
    """Join the processes that `torchrun` started and yield this one's shard; alone, yield the only shard.

    GPUs talk through NCCL, each process using the one of its local rank; CPUs talk through gloo.
    """
    if not launched_by_torchrun():
        yield Shard()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield current_shard()
    finally:
        dist.destroy_process_group()


def current_shard() -> Shard:
    """Return which of how many processes this one is."""
    if not dist.is_initialized():
        return Shard()
    return Shard(dist.get_rank(), dist.get_world_size())


def is_first() -> bool:
    """Whether this process is the one that writes files and prints."""
    return current_shard().rank == 0


def replicated(network: nn.Module) -> nn.Module:
    """Return the network wrapped so that gradients are averaged over all processes; alone, the network
    itself."""
    if not dist.is_initialized():
        return network
    # A supernet uses only a part of its weights in each pass.
    in_parts = any(isinstance(module, ConfiguresLayers) for module in network.modules())
    return nn.parallel.DistributedDataParallel(network, find_unused_parameters=in_parts)


def summed(values: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes."""
    if dist.is_initialized():
        dist.all_reduce(values)
    return values


def from_first(text: str) -> str:
    """Return the first process's text in every process."""
    if not dist.is_initialized():
        return text
    texts = [text]
    dist.broadcast_object_list(texts)
    return texts[0]


def wait_for_all() -> None:
    """Wait until every process is here."""
    if dist.is_initialized():
        dist.barrier()
