"""Infer per-op latency tables from measured blocks and whole networks."""
