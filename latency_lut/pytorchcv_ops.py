"""The ops of a network of the `pytorchcv` package, which the measurements of Pixel 4 and Galaxy S10 name.

The network runs once on shapes alone (torch's `meta` device) while every tensor operation is recorded. Batch norm,
ReLU and ReLU6 are folded into convolutions, as phone runtimes do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from latency_lut.samples import Skipped
from searchspace.ops import Op, OpKind
from searchspace.support.optional import optional_import


@cache
def pytorchcv_ops(name: str) -> tuple[Op, ...]:
    """Return the ops of a pytorchcv network at 224x224, batch 1.

    Raises Skipped for a name that the package does not have and MissingPackage where the package is missing.
    """
    import torch

    provider = optional_import("pytorchcv.model_provider", purpose="a measurement that names it", extra="calibrate")
    try:
        with torch.device("meta"):
            network = provider.get_model(name, pretrained=False)
    except ValueError:
        raise Skipped(f"unknown network {name}") from None
    _use_plain_activations(network)
    # The measurements ran every network at 224x224, whatever the size it was trained for.
    return _recorded(network.eval(), torch.empty(1, 3, 224, 224, device="meta"))


def _use_plain_activations(network: Any) -> None:
    """Replace the package's own activation modules by torch's, which run as one operation."""
    from torch import nn

    plain = {"HSwish": nn.Hardswish, "HSigmoid": nn.Hardsigmoid, "Swish": nn.SiLU}
    for module in network.modules():
        for name, child in module.named_children():
            if type(child).__name__ in plain:
                setattr(module, name, plain[type(child).__name__]())


def _recorded(network: Any, image: Any) -> tuple[Op, ...]:
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    ops: list[Op] = []

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = function(*args, **(kwargs or {}))
            lower = _LOWERINGS.get(function.overloadpacket.__name__)
            if lower is not None:
                ops.extend(lower(args, result))
            return result

    with torch.no_grad(), Recorder():
        network(image)
    return tuple(ops)


def _convolution(args: Any, result: Any) -> list[Op]:
    image, weight, stride, groups = args[0], args[1], args[3][0], args[8]
    size, cin, cout, kernel = image.shape[-1], image.shape[1], weight.shape[0], weight.shape[-1]
    if size == 1 and kernel == 1:
        return [Op(OpKind.LINEAR, 1, cin, cout)]
    if groups == cin == cout:
        return [Op(OpKind.DWCONV, size, cin, cout, kernel, stride)]
    # Groups count as a dense convolution with as many multiply-adds, weights and inputs; its outputs are too few.
    return [Op(OpKind.CONV, size, cin, cout // groups, kernel, stride)]


def _elementwise(kind: OpKind) -> Callable[[Any, Any], list[Op]]:
    def lower(args: Any, result: Any) -> list[Op]:
        channels = result.shape[1]
        return [Op(kind, result.shape[-1] if result.dim() == 4 else 1, channels, channels)]

    return lower


def _pool(args: Any, result: Any) -> list[Op]:
    image = args[0]
    return [Op(OpKind.POOL, image.shape[-1], image.shape[1], image.shape[1])] if image.dim() == 4 else []


def _product(args: Any, result: Any) -> list[Op]:
    """Lower the gate of squeeze-excite; other products are parts of activations."""
    shapes = [tuple(item.shape) for item in args[:2] if hasattr(item, "shape")]
    return _elementwise(OpKind.SCALE)(args, result) if len(set(shapes)) == 2 else []


def _sum(args: Any, result: Any) -> list[Op]:
    shapes = [tuple(item.shape) for item in args[:2] if hasattr(item, "shape")]
    return _elementwise(OpKind.ADD)(args, result) if len(shapes) == 2 and result.dim() == 4 else []


def _fully_connected(args: Any, result: Any) -> list[Op]:
    return [Op(OpKind.LINEAR, 1, args[1].shape[1], result.shape[1])]


_LOWERINGS: dict[str, Callable[[Any, Any], list[Op]]] = {
    "convolution": _convolution,
    "addmm": _fully_connected,
    "add": _sum,
    "add_": _sum,
    "mul": _product,
    "cat": _elementwise(OpKind.CONCAT),
    "hardswish": _elementwise(OpKind.HSWISH),
    "hardswish_": _elementwise(OpKind.HSWISH),
    "silu": _elementwise(OpKind.HSWISH),
    "silu_": _elementwise(OpKind.HSWISH),
    "hardsigmoid": _elementwise(OpKind.SIGMOID),
    "hardsigmoid_": _elementwise(OpKind.SIGMOID),
    "sigmoid": _elementwise(OpKind.SIGMOID),
    "mean": _pool,
    "avg_pool2d": _pool,
    "_adaptive_avg_pool2d": _pool,
    "max_pool2d_with_indices": _pool,
}
