"""Learnt vectors by name that can grow: sessions, subjects, modalities and the channels of every recording."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

SPREAD = 0.02  # of the first vectors, as is usual for embeddings


class EmbeddingRegistry(nn.Module):
    """Vectors by name. A new name gets new vectors, and every other number of the network stays as it is, bit for bit.

    The names are part of the state dict (`_extra_state`, bytes of JSON), so safetensors hold them beside the vectors; a
    registry that loads another's state takes its names and its size.

    Args:
        dim: Channels of a vector.

    Source:
        Azabou et al. 2023, "A unified, scalable framework for neural population decoding", section 2.2 (session and
        unit embeddings, new ones for new recordings beside weights that stay).

    Example:
        >>> registry = EmbeddingRegistry(4)
        >>> registry.add("monday"), registry.add("units of monday", rows=3)
        (range(0, 1), range(1, 4))
        >>> registry(torch.tensor([[0, -1]])).shape
        torch.Size([1, 2, 4])
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.empty(0, dim))
        self._rows: dict[str, range] = {}
        self.register_load_state_dict_pre_hook(_make_room)

    def add(self, name: str, *, rows: int = 1) -> range:
        """Draw vectors for a new name, spread as those that there are.

        The vectors stand in a new parameter afterwards: make an optimiser after the last call.

        Args:
            name: Any string that is not there yet.
            rows: How many vectors, 1 or more.

        Returns:
            Their indices.

        Raises:
            ValueError: If the name is taken, or `rows` is below 1.
        """
        if name in self._rows:
            raise ValueError(f"name={name!r} has vectors already, rows {self._rows[name]}; look them up by `rows`")
        if rows < 1:
            raise ValueError(f"rows={rows}: a name needs 1 vector or more")
        old = self.vectors.data
        new = torch.randn(rows, old.shape[1], device=old.device, dtype=old.dtype)
        if len(old) > 1:
            new = old.mean(0) + old.std(0, correction=0) * new
        else:
            new = SPREAD * new + (old[0] if len(old) else 0.0)
        self.vectors = nn.Parameter(torch.cat([old, new]))
        self._rows[name] = range(len(old), len(old) + rows)
        return self._rows[name]

    def __contains__(self, name: object) -> bool:
        """Whether a name has vectors."""
        return name in self._rows

    def __len__(self) -> int:
        """Number of vectors."""
        return len(self.vectors)

    @property
    def names(self) -> tuple[str, ...]:
        """All names in the order in which they were added."""
        return tuple(self._rows)

    def rows(self, name: str) -> range:
        """Indices of a name's vectors.

        Raises:
            ValueError: If there is no such name.
        """
        if name not in self._rows:
            raise ValueError(
                f"name={name!r} has no vectors here; add it first; known: {', '.join(self._rows) or 'none'}"
            )
        return self._rows[name]

    def forward(self, index: Tensor) -> Tensor:
        """Vectors (..., dim) of indices (...,), int64; a negative index is nobody's, and gives 0.

        A registry without any name, as of sessions where nobody tells them apart, gives 0 for all.

        Raises:
            ValueError: If an index is too large.
        """
        if not len(self.vectors):
            return self.vectors.new_zeros(*index.shape, self.vectors.shape[1])
        if int(index.max()) >= len(self.vectors):
            raise ValueError(f"index {int(index.max())} has no vector, there are {len(self)}; add its name first")
        found = nn.functional.embedding(index.clamp_min(0), self.vectors)
        return found.masked_fill((index < 0)[..., None], 0.0)

    def get_extra_state(self) -> Tensor:
        """The names with their numbers of vectors, as bytes."""
        said = json.dumps({name: len(rows) for name, rows in self._rows.items()})
        return torch.tensor(list(said.encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the names of another registry."""
        counts: dict[str, int] = json.loads(bytes(state.cpu().tolist()).decode())
        self._rows, first = {}, 0
        for name, rows in counts.items():
            self._rows[name] = range(first, first + rows)
            first += rows


def _make_room(module: EmbeddingRegistry, state: Mapping[str, Any], prefix: str, *_: Any) -> None:
    """Give a registry as many vectors as the state that it is about to load."""
    loaded = state.get(f"{prefix}vectors")
    if loaded is not None and loaded.shape[1:] == module.vectors.shape[1:] and len(loaded) != len(module.vectors):
        module.vectors = nn.Parameter(module.vectors.data.new_zeros(loaded.shape))
