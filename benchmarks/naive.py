"""The hybrid block as one would put it together from packages: snnTorch, then ncps, then mambapy.

It takes over the weights of one of our networks with a single block in sequential mode, and everything that no package
has (norms, projections, the readout of the spikes), so that only the three recurrences differ.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.cfc import copied, stacked
from benchmarks.side import Tensors, peer

_LIQUID, _MAMBA = "blocks.0.integration.liquid.", "blocks.0.integration.mamba."
_CFC = ("backbone.weight", "backbone.bias", "gates.weight", "gates.bias")
# our names, and mambapy's where they differ
_BLOCK = {
    "in_proj.weight": "in_proj.weight",
    "conv_weight": "conv1d.weight",
    "conv_bias": "conv1d.bias",
    "x_proj.weight": "x_proj.weight",
    "dt_proj.weight": "dt_proj.weight",
    "dt_proj.bias": "dt_proj.bias",
    "A_log": "A_log",
    "D": "D",
    "out_proj.weight": "out_proj.weight",
}


def in_order(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of our network that the naive stack has too: what is shared, the liquid cell's, then Mamba's."""
    named = dict(model.named_parameters())
    return [*_shared(model), *(named[_LIQUID + name] for name in _CFC), *(named[_MAMBA + name] for name in _BLOCK)]


def only_ours(model: nn.Module) -> list[nn.Parameter]:
    """The other parameters: the time constants of the liquid units, which ncps fixes at one token."""
    common = {id(parameter) for parameter in in_order(model)}
    return [parameter for parameter in model.parameters() if id(parameter) not in common]


def _shared(model: nn.Module) -> list[nn.Parameter]:
    """Parameters outside the two recurrent layers."""
    return [value for name, value in model.named_parameters() if not name.startswith((_LIQUID, _MAMBA))]


class NaiveStack(nn.Module):
    """Stands in for one of our networks with one block in sequential mode.

    Args:
        model: Our network; its weights are copied.

    Raises:
        NotThere: If one of the packages is missing.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        hint = "pip install -e '.[bench]'"
        snntorch, ncps, mambapy = (peer(name, install=hint) for name in ("snntorch", "ncps.torch", "mambapy.mamba"))
        self.model = deepcopy(model)
        config, self.block = self.model.config, self.model.blocks[0]
        self.leaky = snntorch.Leaky(1.0, spike_grad=snntorch.surrogate.fast_sigmoid(slope=config.surrogate_slope))
        self.cfc = ncps.CfC(
            config.hidden_dim, config.liquid_units, backbone_units=config.backbone_units, batch_first=True
        )
        self.mamba = mambapy.MambaBlock(
            mambapy.MambaConfig(
                d_model=config.hidden_dim,
                n_layers=1,
                d_state=config.mamba_d_state,
                d_conv=config.mamba_d_conv,
                expand_factor=config.mamba_expand,
            )
        )
        self._liquid = copied(self.cfc, [getattr_in(self.block.integration.liquid, name) for name in _CFC])
        self._copy_mamba(self.block.integration.mamba)

    def _copy_mamba(self, ours: nn.Module) -> None:
        """Loads our block's weights; its convolution has the channels first."""
        with torch.no_grad():
            for our_name, name in _BLOCK.items():
                values = getattr_in(ours, our_name)
                getattr_in(self.mamba, name).copy_(values.t()[:, None] if our_name == "conv_weight" else values)

    def in_order(self) -> list[Tensor]:
        """Parameters in the order of the function of that name, those of ncps not yet put together."""
        return [*_shared(self.model), *self._liquid, *(getattr_in(self.mamba, name) for name in _BLOCK.values())]

    def arrange(self, gradients: Tensors) -> list[Tensor]:
        """Gradients of the inputs and of `in_order` in our form."""
        shared = 1 + len(_shared(self.model))
        liquid = shared + len(self._liquid)
        mamba = dict(zip(_BLOCK, gradients[liquid:], strict=True))
        mamba["conv_weight"] = mamba["conv_weight"][:, 0].t()
        return [*gradients[:shared], *stacked(gradients[shared:liquid]), *mamba.values()]

    def forward(self, x: Tensor) -> Tensor:
        """Maps tokens (batch, length, hidden_dim) to the network's outputs of the same shape."""
        block = self.block
        spikes, potentials = self._spikes(block.encoder, block.norm(x))
        tokens, _ = block.adapter(spikes, potentials)
        liquid, _ = self.cfc(block.token_norm(tokens))
        return self.model.norm(x + self.mamba(block.integration.between(liquid)))

    def _spikes(self, encoder: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        """Every token's current held for some steps, one step of `snntorch.Leaky` after the other."""
        self.leaky.beta, self.leaky.threshold = encoder.beta, encoder.threshold
        potential, spikes, potentials = self.leaky.reset_mem(), [], []
        for token in encoder.current(x).unbind(1):
            for _ in range(encoder.num_spike_steps):
                fired, potential = self.leaky(token, potential)
                spikes.append(fired)
                potentials.append(potential)
        steps = (x.shape[1], encoder.num_spike_steps)
        return torch.stack(spikes, 1).unflatten(1, steps), torch.stack(potentials, 1).unflatten(1, steps)


def getattr_in(module: Any, name: str) -> Any:
    """The attribute at a dotted name."""
    for part in name.split("."):
        module = getattr(module, part)
    return module
