"""What the kernels of spiking neurons share: the settings of a neuron, checked."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from neurofmx.kernels.path import Path, resolve
from neurofmx.kernels.shapes import require_shape
from neurofmx.kernels.surrogate import QUADRATICS, Surrogate, check_surrogate, inverse_quadratic
from neurofmx.tables import pick

Reset = Literal["subtract", "zero"]


class AlifState(NamedTuple):
    """State of neurons with a synaptic current and an adaptive threshold, see `neurofmx.kernels.alif`.

    Args:
        potential: Membrane potentials (batch, neurons).
        synaptic: Synaptic currents (batch, neurons).
        adaptation: Recent spiking that raises the threshold (batch, neurons), from 0 to 1.
    """

    potential: Tensor
    synaptic: Tensor
    adaptation: Tensor


NeuronState = Tensor | AlifState  # of plain neurons, the potentials alone


class Neuron(NamedTuple):
    """What all steps of one call share.

    Args:
        beta: Decay of the potential per step, a scalar or (neurons,).
        threshold: Potential above which a neuron fires, a scalar or (neurons,).
        reset: What a spike does to the potential.
        surrogate: Derivative of the spikes.
        slope: Its sharpness.
    """

    beta: Tensor
    threshold: Tensor
    reset: Reset
    surrogate: Surrogate
    slope: float

    def per_neuron(self, neurons: int) -> tuple[Tensor, Tensor]:
        """Decay and threshold of every neuron."""
        return self.beta.expand(neurons), self.threshold.expand(neurons)

    def knobs(self) -> list[float]:
        """Reset and surrogate as the compiled loops take them."""
        return [float(self.reset == "zero"), *inverse_quadratic(self.surrogate, self.slope)]


def neuron_of(
    current: Tensor, beta: float | Tensor, threshold: float | Tensor, reset: Reset, surrogate: Surrogate, slope: float
) -> Neuron:
    """Checks the settings of neurons.

    Args:
        current: What will drive them (batch, time, neurons).
        beta: As for `lif`.
        threshold: As for `lif`.
        reset: As for `lif`.
        surrogate: As for `lif`.
        slope: As for `lif`.

    Returns:
        The settings, tensors in the type of the currents.

    Raises:
        ValueError: If a shape, a type, `reset`, `surrogate` or `slope` is wrong.
    """
    if not current.is_floating_point():
        raise ValueError(f"current must hold floating point numbers, got {current.dtype}: use current.float()")
    decay, level = per_neuron("beta", beta, current), per_neuron("threshold", threshold, current)
    pick(dict.fromkeys(get_args(Reset)), reset, "reset")
    check_surrogate(surrogate, slope)
    return Neuron(decay, level, reset, surrogate, slope)


def per_neuron(argument: str, value: float | Tensor, current: Tensor) -> Tensor:
    """Checks a number of every neuron.

    Args:
        argument: Its name, for the message.
        value: One number, or one per neuron (neurons,).
        current: What drives them (batch, time, neurons).

    Returns:
        A scalar or (neurons,), in the type of the currents.

    Raises:
        ValueError: If the shape is wrong.
    """
    values = torch.as_tensor(value, dtype=current.dtype, device=current.device)
    if values.ndim:
        require_shape(argument, values, neurons=current.shape[-1])
    return values


def neuron_path(path: Path, device: torch.device, surrogate: Surrogate) -> Path:
    """The path that computes neurons on a device.

    Args:
        path: What was asked for.
        device: Where the tensors are.
        surrogate: Derivative of the spikes.

    Returns:
        `path`, with `auto` replaced by the fastest that has such a surrogate.
    """
    return "reference" if path == "auto" and surrogate not in QUADRATICS else resolve(path, device)
