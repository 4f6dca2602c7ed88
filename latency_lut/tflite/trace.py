"""What a torch module computes from one input, as the list of ATen calls it makes in evaluation mode.

The module really runs, once, so any Python in it is followed; whatever does not depend on the input is a constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True)
class Call:
    """One call: ATen name (`convolution`, `add.Tensor`, ...), arguments as the schema orders them, result."""

    name: str
    arguments: tuple[Any, ...]
    result: Any


@dataclass(frozen=True)
class Trace:
    """The calls in running order, the input and the outputs by name."""

    source: Tensor
    calls: tuple[Call, ...]
    outputs: dict[str, Tensor]


def trace(module: nn.Module, shape: tuple[int, ...]) -> Trace:
    """Run a module on zeros of `shape`, in evaluation mode from now on, and return what it did with them."""
    source = torch.zeros(shape)
    recorder = _Recorder(source)
    with torch.no_grad(), recorder:
        found = module.eval()(source)
    return Trace(source, tuple(recorder.calls), _named_tensors(found))


def _named_tensors(found: Any) -> dict[str, Tensor]:
    match found:
        case Tensor():
            return {"output_0": found}
        case dict():
            return {str(name): tensor for name, tensor in found.items()}
        case _:
            return {f"output_{number}": tensor for number, tensor in enumerate(found)}


class _Recorder(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: with True, torch imports its compiler, which takes longer than all else here."""
        return False

    def __init__(self, source: Tensor) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._live = {id(source): source}  # kept alive, so that no id is used twice

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        used = (leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor))
        if any(id(tensor) in self._live for tensor in used):
            self._live |= {id(leaf): leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)}
            self.calls.append(Call(_name(function), _ordered(function, args, kwargs or {}), result))
        return result


def _name(function: Any) -> str:
    return str(function).removeprefix("aten.").removesuffix(".default")


def _ordered(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Return all arguments in the order of the schema, defaults included."""
    rest = function._schema.arguments[len(args) :]
    return (*args, *(kwargs.get(one.name, one.default_value) for one in rest))
