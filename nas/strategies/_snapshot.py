"""Snapshots of strategies: plain values as JSON, bytes behind them (tensors as safetensors), a checksum over both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from searchspace.support.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_FORMAT = "strategy-snapshot/1"


def sealed(plain: Mapping[str, Any], body: bytes = b"") -> bytes:
    """Return plain values and further bytes as one: a line of JSON with the checksum, then the bytes."""
    facts = json.dumps(dict(plain), sort_keys=True)
    head = {"format": _FORMAT, "sha256": _checksum(facts, body), "facts": facts}
    return json.dumps(head).encode() + b"\n" + body


def opened(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return what `sealed` took; raises UserError when it is damaged or of another format."""
    line, _, body = data.partition(b"\n")
    try:
        head = json.loads(line)
        if head["format"] != _FORMAT or _checksum(head["facts"], body) != head["sha256"]:
            raise ValueError("its checksum does not match")
        values: dict[str, Any] = json.loads(head["facts"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(error) from None
    return values, body


def _checksum(facts: str, body: bytes) -> str:
    return hashlib.sha256(facts.encode() + body).hexdigest()


def damaged(error: Exception) -> UserError:
    """Return the error for a snapshot that cannot be taken over."""
    return UserError(f"a strategy's snapshot is damaged ({str(error)[:60]}): the journal suffices without it")


def packed(policy: nn.Module, optimizer: torch.optim.Optimizer, plain: Mapping[str, Any]) -> bytes:
    """Return a policy's tensors and those of its optimiser as a snapshot, with plain values."""
    import torch
    from safetensors.torch import save

    tensors = {f"policy.{name}": value for name, value in policy.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in state.items()}
    return sealed(plain, save({name: value.contiguous() for name, value in tensors.items()}))


def unpack(data: bytes, policy: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Load tensors into a policy and its optimiser and return the plain values.

    Raises UserError, with nothing loaded, for what is damaged or of another policy.
    """
    from safetensors.torch import load

    values, body = opened(data)
    tensors = load(body)
    weights = {name[7:]: value for name, value in tensors.items() if name.startswith("policy.")}
    if {name: one.shape for name, one in weights.items()} != {n: o.shape for n, o in policy.state_dict().items()}:
        raise damaged(ValueError("it is of another policy"))
    policy.load_state_dict(weights)
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".")
            state.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return values
