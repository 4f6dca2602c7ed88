"""TFLite files: written from torch modules and from single ops, quantised, and read back as ops.

One writer makes every file of the project, those that are measured and those that are delivered, so what is timed is
what is shipped. `graph` is the file format, `layers` the operators, `trace` and `lower` the way from a torch module.
"""

from latency_lut.tflite.export import module_model

__all__ = ["module_model"]
