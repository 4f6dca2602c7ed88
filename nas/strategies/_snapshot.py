"""Snapshots of a policy: its tensors and those of its optimiser as safetensors, plain values and a checksum beside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from searchspace.support.errors import UserError

_FORMAT = "policy-snapshot/1"


def packed(policy: nn.Module, optimizer: torch.optim.Optimizer, plain: Mapping[str, Any]) -> bytes:
    """Return everything as bytes: one line of JSON with the checksum, then the tensors."""
    from safetensors.torch import save

    tensors = {f"policy.{name}": value for name, value in policy.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in state.items()}
    body: bytes = save({name: value.contiguous() for name, value in tensors.items()})
    facts = json.dumps(dict(plain), sort_keys=True)
    checksum = hashlib.sha256(facts.encode() + body).hexdigest()
    head = json.dumps({"format": _FORMAT, "sha256": checksum, "facts": facts})
    return head.encode() + b"\n" + body


def unpack(data: bytes, policy: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Load tensors into a policy and its optimiser and return the plain values; raises UserError when damaged."""
    from safetensors.torch import load

    line, _, body = data.partition(b"\n")
    try:
        head = json.loads(line)
        facts = head["facts"]
        sound = head["format"] == _FORMAT and hashlib.sha256(facts.encode() + body).hexdigest() == head["sha256"]
        if not sound:
            raise ValueError("its checksum does not match")
        tensors = load(body)
        policy.load_state_dict({name[7:]: value for name, value in tensors.items() if name.startswith("policy.")})
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise UserError(
            f"a strategy's snapshot is damaged ({str(error)[:60]}): remove it, the journal suffices"
        ) from None
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".")
            state.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    values: dict[str, Any] = json.loads(facts)
    return values
