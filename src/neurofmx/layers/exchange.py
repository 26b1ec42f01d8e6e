"""Let the liquid and the Mamba path steer each other's dynamics."""

from __future__ import annotations

from torch import Tensor, nn

from neurofmx.layers.elementwise import sigmoid
from neurofmx.layers.mamba import Selection

_START = 1e-2  # spread of the first weights: small beside B and C, which are of order 1


class BidirectionalStateExchange(nn.Module):
    """Modulates what each path remembers by the state of the other.

    Liquid to Mamba: `B + Linear(liquid)` and `C + Linear(liquid)`, so the liquid state chooses what enters the long
    memory and what is read from it. Mamba to liquid: `tau = tau_base * (0.5 + sigmoid(Linear(mamba)))`, so the long
    memory makes every liquid unit up to twice as fast or one and a half times as slow. Both start near no effect.

    Args:
        liquid_dim: Channels of the liquid states.
        mamba_dim: Channels of the Mamba outputs.
        d_state: States per channel of the Mamba block.
    """

    def __init__(self, liquid_dim: int, mamba_dim: int, d_state: int) -> None:
        super().__init__()
        self.to_selection = nn.Linear(liquid_dim, 2 * d_state)
        self.to_tau = nn.Linear(mamba_dim, liquid_dim)
        for projection in (self.to_selection, self.to_tau):
            nn.init.normal_(projection.weight, std=_START)
            nn.init.zeros_(projection.bias)

    def modulate_mamba(self, liquid: Tensor, selection: Selection) -> Selection:
        """Shifts the scan's input and output coefficients by the liquid state.

        Args:
            liquid: Liquid states (batch, length, liquid_dim).
            selection: The coefficients that the Mamba block selected.

        Returns:
            The shifted coefficients; step sizes stay.
        """
        to_B, to_C = self.to_selection(liquid).chunk(2, -1)
        return Selection(selection.dt, selection.B + to_B, selection.C + to_C)

    def modulate_liquid(self, mamba: Tensor) -> Tensor:
        """Makes factors for the liquid time constants out of the Mamba output.

        Args:
            mamba: Mamba outputs (batch, length, mamba_dim).

        Returns:
            Factors (batch, length, liquid_dim), above 0.5 and below 1.5.
        """
        return sigmoid(self.to_tau(mamba)) + 0.5
