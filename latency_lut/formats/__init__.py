"""Latency tables of other projects: reading them, and writing ours in their form."""

from latency_lut.formats.block_table import (
    BlockTable,
    BlockTime,
    format_block_table,
    networks_with_every_layer,
    predict_blocks,
    read_block_table,
)

__all__ = [
    "BlockTable",
    "BlockTime",
    "format_block_table",
    "networks_with_every_layer",
    "predict_blocks",
    "read_block_table",
]
