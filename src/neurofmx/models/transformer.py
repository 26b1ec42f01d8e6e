"""A causal transformer: the attention network to compare with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neurofmx.models.configs import TransformerConfig

KeysValues = tuple[Tensor, Tensor]


class Transformer(nn.Module):
    """Pre-norm blocks of causal self-attention over tokens.

    Args:
        config: Sizes.

    Shape:
        tokens `(batch, tokens, hidden_dim)` -> states `(batch, tokens, hidden_dim)`.

    Source:
        Vaswani et al. 2017, "Attention is all you need", with the norm before each part (Xiong et al. 2020) and
        rotary positions (Su et al. 2021, eq. 34), which need no longest length.
    """

    grows = True  # its state, the keys and values, grows with every token

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.hidden_dim)

    def forward(self, tokens: Tensor, state: list[KeysValues] | None = None) -> tuple[Tensor, list[KeysValues]]:
        """States `(batch, tokens, hidden_dim)`, and the keys and values seen so far, one pair a block."""
        carried: list[KeysValues] = []
        for index, block in enumerate(self.blocks):
            tokens, seen = block(tokens, state[index] if state else None)
            carried.append(seen)
        return self.norm(tokens), carried

    def step(self, token: Tensor, state: list[KeysValues] | None = None) -> tuple[Tensor, list[KeysValues]]:
        """State `(batch, hidden_dim)` after one token `(batch, hidden_dim)` of a stream, and keys and values so far."""
        states, carried = self(token.unsqueeze(1), state)
        return states.squeeze(1), carried


class _Block(nn.Module):
    """Attention to what came before, then a feed-forward layer, each added to its input."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.heads, self.attention_dropout = config.num_attention_heads, config.attention_dropout
        self.norm_attention, self.norm_feedforward = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.mix = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        wide = config.feedforward * dim
        self.feedforward = nn.Sequential(nn.Linear(dim, wide), nn.GELU(), nn.Linear(wide, dim))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, seen: KeysValues | None) -> tuple[Tensor, KeysValues]:
        attended, seen = self._attend(self.norm_attention(x), seen)
        x = x + self.dropout(attended)
        return x + self.dropout(self.feedforward(self.norm_feedforward(x))), seen

    def _attend(self, x: Tensor, seen: KeysValues | None) -> tuple[Tensor, KeysValues]:
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        before = 0 if seen is None else seen[0].shape[2]
        query, key = _rotate(query, before), _rotate(key, before)
        if seen is not None:
            key, value = torch.cat([seen[0], key], 2), torch.cat([seen[1], value], 2)
        attended = nn.functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=_past(query.shape[2], before, x.device) if before else None,
            is_causal=not before,  # without a past the kernel needs no mask in memory
            dropout_p=self.attention_dropout if self.training else 0.0,
        )
        return self.mix(attended.transpose(1, 2).flatten(2)), (key, value)


def _past(new: int, before: int, device: torch.device) -> Tensor:
    """Which keys each new token sees: all that came before, itself, and no later one."""
    return torch.ones(new, before + new, dtype=torch.bool, device=device).tril(before)


def _rotate(x: Tensor, before: int) -> Tensor:
    """Turn pairs of features by an angle that grows with the position, shape `(batch, heads, tokens, width)`."""
    half = x.shape[-1] // 2
    frequency = 10_000 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    position = torch.arange(before, before + x.shape[2], device=x.device, dtype=torch.float32)
    angle = position[:, None] * frequency
    a, b = x.chunk(2, -1)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)
