"""A recurrent distribution over genotypes: an LSTM that writes one value after another."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from searchspace.choices import Genotypes
from searchspace.protocols import Space


class RecurrentPolicy(nn.Module):
    """Gives each value of each choice a probability that depends on the values before; inactive choices have none."""

    missing: Tensor

    def __init__(self, space: Space, hidden: int, initial: float, seed: int) -> None:
        """Start from weights uniform within +-`initial`, so that the first draws are nearly uniform."""
        super().__init__()
        self.space = space
        largest = int(space.radices.max())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.cell = nn.LSTMCell(hidden, hidden)
            self.start = nn.Parameter(torch.zeros(1, hidden))
            self.token = nn.Parameter(torch.zeros(len(space.radices), largest, hidden))
            self.score = nn.Parameter(torch.zeros(len(space.radices), hidden, largest))
            for parameter in self.parameters():
                nn.init.uniform_(parameter, -initial, initial)
        missing = np.arange(largest) >= space.radices[:, None]
        self.register_buffer("missing", torch.from_numpy(missing))

    @torch.no_grad()
    def draw(self, rng: np.random.Generator, n: int) -> Genotypes:
        """Draw n canonical genotypes, shape (n, choices)."""
        genotypes = np.zeros((n, len(self.space.radices)), dtype=np.uint8)
        uniform = rng.random((n, len(self.space.radices)))
        state, entering = None, self.start.expand(n, -1)
        for choice in range(genotypes.shape[1]):
            logits, state = self._logits(choice, entering, state)
            cumulative = logits.double().softmax(1).cumsum(1).numpy()
            drawn = (uniform[:, choice, None] * cumulative[:, -1:] >= cumulative).sum(axis=1)
            drawn = np.minimum(drawn, self.space.radices[choice] - 1).astype(np.uint8)
            genotypes[:, choice] = np.where(self.space.active(genotypes)[:, choice], drawn, 0)
            entering = self.token[choice][torch.from_numpy(genotypes[:, choice].astype(np.int64))]
        return self.space.canonical(genotypes)

    def log_probability(self, genotypes: Genotypes) -> tuple[Tensor, Tensor]:
        """Return log-probabilities and entropies of the active choices, each summed over a genotype, shape (n,)."""
        active = torch.from_numpy(self.space.active(genotypes).astype(np.float32))
        values = torch.from_numpy(genotypes.astype(np.int64))
        total = torch.zeros(len(genotypes))
        entropy = torch.zeros(len(genotypes))
        state, entering = None, self.start.expand(len(genotypes), -1)
        for choice in range(genotypes.shape[1]):
            logits, state = self._logits(choice, entering, state)
            logs = logits.log_softmax(1)
            total = total + active[:, choice] * logs.gather(1, values[:, choice, None])[:, 0]
            uncertain = -(logs.exp() * logs.masked_fill(self.missing[choice], 0.0)).sum(1)
            entropy = entropy + active[:, choice] * uncertain
            entering = self.token[choice][values[:, choice]]
        return total, entropy

    def _logits(
        self, choice: int, entering: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        hidden, memory = self.cell(entering, state)
        logits = (hidden @ self.score[choice]).masked_fill(self.missing[choice], -torch.inf)
        return logits, (hidden, memory)
