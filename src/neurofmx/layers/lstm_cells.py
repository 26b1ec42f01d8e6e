"""An LSTM out of linear layers, step by step: for streams, and for weights in another form than float32.

Symbols: `x` input, `h` output, `c` cell state; `i, f, g, o` input gate, forget gate, candidate and output gate.

    i, f, g, o = W x + U h + b      c <- sigmoid(f) c + sigmoid(i) tanh(g)      h <- sigmoid(o) tanh(c)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]


class LstmCells(nn.Module):
    """What `nn.LSTM` computes in evaluation, with any kind of linear layer inside.

    Args:
        layers: For every layer what maps its inputs and what maps its own outputs to the four gates.

    Source:
        Hochreiter and Schmidhuber (1997), Long short-term memory; gates in torch's order.
    """

    def __init__(self, layers: list[tuple[nn.Module, nn.Module]]) -> None:
        super().__init__()
        self.inputs = nn.ModuleList(first for first, _ in layers)
        self.recurrent = nn.ModuleList(second for _, second in layers)

    @classmethod
    def of(cls, lstm: nn.LSTM, make: Callable[[nn.Linear], nn.Module]) -> Self:
        """The same as an LSTM with batches first, one direction and no projection.

        Args:
            lstm: Its weights are taken over.
            make: What makes a linear layer out of torch's.
        """
        return cls([(make(_linear(lstm, "ih", k)), make(_linear(lstm, "hh", k))) for k in range(lstm.num_layers)])

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Runs all layers over a stretch.

        Args:
            x: Inputs (batch, length, inputs).
            state: Outputs and cell states (layers, batch, units) at the end of the stretch before; `None` for zeros.

        Returns:
            Outputs of the last layer (batch, length, units), and the state at their end.
        """
        last = []
        for k, (inputs, recurrent) in enumerate(zip(self.inputs, self.recurrent, strict=True)):
            drive = inputs(x)
            zeros = drive.new_zeros(len(x), drive.shape[2] // 4)
            h, c = (zeros, zeros) if state is None else (state[0][k], state[1][k])
            outputs = []
            for arrived in drive.unbind(1):
                i, f, g, o = (arrived + recurrent(h)).chunk(4, 1)
                c = torch.addcmul(f.sigmoid() * c, i.sigmoid(), g.tanh())
                h = o.sigmoid() * c.tanh()
                outputs.append(h)
            x = torch.stack(outputs, 1)
            last.append((h, c))
        return x, (torch.stack([h for h, _ in last]), torch.stack([c for _, c in last]))


def plain(lstm: nn.LSTM) -> bool:
    """Whether an LSTM is of the kind that `LstmCells` computes."""
    return lstm.batch_first and not lstm.bidirectional and not lstm.proj_size


def _linear(lstm: nn.LSTM, kind: str, layer: int) -> nn.Linear:
    """One of the two maps of a layer, sharing its weights."""
    weight = getattr(lstm, f"weight_{kind}_l{layer}")
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=lstm.bias, device="meta")
    made.weight = weight
    if lstm.bias:
        made.bias = getattr(lstm, f"bias_{kind}_l{layer}")
    return made
