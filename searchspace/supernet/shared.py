"""Shared weights: one largest layer, of which every smaller one uses a corner.

Output and input channels are the first ones of the largest layer, kernels the centre of the largest kernel
(Once-for-All, Cai et al., arXiv 1908.09791, section 3.3). What the weights mean is left to the modules of
`searchspace.modules`: a part looks at the parameters of the module that is to run and cuts tensors of those shapes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Index = tuple[slice, ...]


def corner(full: torch.Size, shape: torch.Size) -> Index:
    """Index the leading channels (dimensions 0 and 1) and the centre of the kernel (2 and 3)."""
    starts = [0 if axis < 2 else (n - m) // 2 for axis, (n, m) in enumerate(zip(full, shape, strict=True))]
    return tuple(slice(start, start + m) for start, m in zip(starts, shape, strict=True))


class _Corner(torch.autograd.Function):
    """A slice whose gradient is written once into zeros, where chained slices would fill one tensor per dimension."""

    @staticmethod
    def forward(ctx: Any, full: Tensor, index: Index) -> Tensor:
        ctx.full, ctx.index = full.detach(), index
        return full[index]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        whole = torch.zeros_like(ctx.full)
        whole[ctx.index] = grad
        return whole, None


def cut(full: Tensor, shape: torch.Size) -> Tensor:
    """Return the corner of a shared tensor, a view that gradients and in-place updates pass through."""
    if full.shape == shape:
        return full
    index = corner(full.shape, shape)
    return _Corner.apply(full, index) if full.requires_grad and torch.is_grad_enabled() else full[index]


class SharedPart(nn.Module):
    """The shared weights of one place of a network, large enough for every module that can run there.

    `templates` are those modules (on the meta device); with `kernel_transform` each smaller kernel is the centre of
    the next larger one times a learned matrix, shared by all channels, that starts as the identity.
    """

    def __init__(self, templates: Iterable[nn.Module], kernel_transform: bool = False) -> None:
        super().__init__()
        leaves: dict[str, list[nn.Module]] = {}
        for template in templates:
            for path, module in template.named_modules():
                if next(module.parameters(recurse=False), None) is not None:
                    leaves.setdefault(path, []).append(module)
        for path, modules in leaves.items():
            _mount(self, path, _largest(modules))
            if kernel_transform and isinstance(modules[0], nn.Conv2d):
                _add_transforms(self.get_submodule(path), modules)

    def weights(self, template: nn.Module) -> dict[str, Tensor]:
        """Return the tensors with which `template` runs here, by the names it gives them."""
        return {f"{path}.{name}": self._tensor(path, name, wanted) for path, name, wanted in _tensors_of(template)}

    def _tensor(self, path: str, name: str, wanted: Tensor) -> Tensor:
        leaf = self.get_submodule(path)
        full: Tensor = getattr(leaf, name)
        transforms = leaf._modules.get("transforms")
        if isinstance(transforms, nn.ParameterDict) and name == "weight" and wanted.shape[-1] < full.shape[-1]:
            return _transformed(transforms, full, wanted.shape)
        return cut(full, wanted.shape)


def _tensors_of(module: nn.Module) -> tuple[tuple[str, str, Tensor], ...]:
    """The (path, name, tensor) of every parameter and buffer below a module, remembered in the module itself."""
    found = module.__dict__.get("_listed_tensors")
    if found is None:
        found = tuple(
            (path, name, tensor)
            for path, child in module.named_modules()
            for name, tensor in (*child._parameters.items(), *child._buffers.items())
            if tensor is not None
        )
        module.__dict__["_listed_tensors"] = found
    tensors: tuple[tuple[str, str, Tensor], ...] = found
    return tensors


def _mount(root: nn.Module, path: str, leaf: nn.Module) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        if parent not in root._modules:
            root.add_module(parent, nn.Module())
        root = root.get_submodule(parent)
    root.add_module(name, leaf)


def _largest(modules: list[nn.Module]) -> nn.Module:
    """A layer of the same kind as `modules`, each of its dimensions the largest of theirs."""
    sizes = [max(lengths) for lengths in zip(*(module.weight.shape for module in modules), strict=True)]
    first = modules[0]
    if isinstance(first, nn.Conv2d):
        groups = sizes[0] if first.groups > 1 else 1
        return nn.Conv2d(sizes[1] * groups, sizes[0], sizes[2], groups=groups, bias=first.bias is not None)
    if isinstance(first, nn.BatchNorm2d):
        return nn.BatchNorm2d(sizes[0], eps=first.eps, momentum=first.momentum)
    if isinstance(first, nn.Linear):
        return nn.Linear(sizes[1], sizes[0], bias=first.bias is not None)
    raise TypeError(f"no rule for sharing the weights of {type(first).__name__}")


def _add_transforms(leaf: nn.Module, modules: list[nn.Module]) -> None:
    kernels = sorted({module.kernel_size[0] for module in modules if isinstance(module, nn.Conv2d)})
    if len(kernels) > 1:
        leaf.transforms = nn.ParameterDict({str(k): nn.Parameter(torch.empty(k * k, k * k)) for k in kernels[:-1]})


def _transformed(transforms: nn.ParameterDict, full: Tensor, shape: torch.Size) -> Tensor:
    """Go down from the largest kernel size to the wanted one, a learned matrix at each step."""
    weight = cut(full, torch.Size((shape[0], shape[1], *full.shape[2:])))
    for kernel in sorted((int(key) for key in transforms), reverse=True):
        if kernel < shape[-1]:
            break
        centre = cut(weight, torch.Size((shape[0], shape[1], kernel, kernel)))
        weight = (centre.flatten(2) @ transforms[str(kernel)]).unflatten(2, (kernel, kernel))
    return weight
