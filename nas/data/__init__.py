"""Data sets: `load_data` turns a specification such as `cifar10:PATH` into splits of batches."""

from nas.data.batches import Batch, MemorySplit, Shard, Split, endless_batches, sample
from nas.data.load import Data, load_data

__all__ = ["Batch", "Data", "MemorySplit", "Shard", "Split", "endless_batches", "load_data", "sample"]
