"""Sparse wirings of liquid neurons after the tap-withdrawal circuit of C. elegans: neural circuit policies.

Signals pass four layers of neurons: sensory (the inputs), inter, command and motor. Only command neurons also talk to
one another. Every synapse is excitatory (1) or inhibitory (-1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_COMMAND_SHARE = 0.4  # of the neurons that are not motor neurons


@dataclass(frozen=True, eq=False)
class Wiring:
    """Which synapses there are, and of which sign; neurons are in the order motor, command, inter.

    Args:
        sensory: Signs of the synapses from inputs, 0 where there is none (inputs, units).
        recurrent: Signs of the synapses between neurons, 0 where there is none (units, units), sources first.
        motor: Number of motor neurons.
        command: Number of command neurons.
    """

    sensory: np.ndarray
    recurrent: np.ndarray
    motor: int
    command: int

    @property
    def layers(self) -> dict[str, slice]:
        """Where the neurons of each layer are."""
        bounds = {"motor": (0, self.motor), "command": (self.motor, self.motor + self.command)}
        bounds["inter"] = (self.motor + self.command, len(self.recurrent))
        return {name: slice(*pair) for name, pair in bounds.items()}

    def require(self, inputs: int, units: int) -> None:
        """Checks that the wiring is for a cell of some size.

        Args:
            inputs: Number of inputs of the cell.
            units: Number of its neurons.

        Raises:
            ValueError: If it is for other numbers.
        """
        if self.sensory.shape != (inputs, units):
            raise ValueError(
                f"wiring must be for (inputs, units) = {(inputs, units)}, got {self.sensory.shape}: "
                f"draw one with neural_circuit({inputs}, {units}, motor=...)"
            )


def motor_neurons(units: int, share: float) -> int:
    """Says how many neurons of a circuit are motor neurons.

    Args:
        units: Number of neurons without the inputs.
        share: Share of them, above 0 and below 1.

    Returns:
        Their number, 1 or more.

    Example:
        >>> motor_neurons(64, 0.3)
        19
    """
    return max(1, round(share * units))


def neural_circuit(inputs: int, units: int, *, motor: int, sparsity: float = 0.5, seed: int = 0) -> Wiring:
    """Draws the wiring of a neural circuit policy.

    Of the neurons that are not motor neurons, 2 in 5 are command neurons and the others inter neurons. With a density
    of `1 - sparsity`, each input reaches that share of the inter neurons, each inter neuron that share of the command
    neurons, and each motor neuron listens to that share of them; twice as many synapses as that share of the command
    neurons connect them to each other. Neurons that this leaves out get as many synapses as the others have on average.

    Args:
        inputs: Number of inputs, 1 or more.
        units: Number of neurons without the inputs.
        motor: Number of motor neurons, 1 or more and below `units - 2`.
        sparsity: Share of synapses left out, from 0.1 to 0.9.
        seed: Of the random numbers.

    Returns:
        The wiring.

    Raises:
        ValueError: If `motor` or `sparsity` is out of range.

    Example:
        >>> wiring = neural_circuit(4, 19, motor=3)
        >>> {name: len(range(19)[place]) for name, place in wiring.layers.items()}
        {'motor': 3, 'command': 6, 'inter': 10}

    Source:
        Lechner et al. (2020), Neural circuit policies enabling auditable autonomy, Nature Machine Intelligence 2,
        Methods, "Designing neural circuit policy networks", rules 1 to 4; sizes as in `ncps.wirings.AutoNCP`.
    """
    if not 1 <= motor < units - 2:
        raise ValueError(f"motor must be 1 or more and below units - 2 = {units - 2}, got {motor}")
    if not 0.1 <= sparsity <= 0.9:
        raise ValueError(f"sparsity must be from 0.1 to 0.9, got {sparsity}; the usual value is 0.5")
    command = max(int(_COMMAND_SHARE * (units - motor)), 1)
    wiring = Wiring(np.zeros((inputs, units), np.int8), np.zeros((units, units), np.int8), motor, command)
    random, layers = np.random.default_rng(seed), wiring.layers
    inter, commands, motors = layers["inter"], layers["command"], layers["motor"]
    _fan_out(wiring.sensory[:, inter], 1 - sparsity, random)
    _fan_out(wiring.recurrent[inter, commands], 1 - sparsity, random)
    _among(wiring.recurrent[commands, commands], 1 - sparsity, random)
    _fan_out(wiring.recurrent[commands, motors].T, 1 - sparsity, random)  # each motor neuron chooses its sources
    return wiring


def _signs(count: int, random: np.random.Generator) -> np.ndarray:
    """As many excitatory as inhibitory synapses, on average."""
    return random.choice(np.array([-1, 1], np.int8), count)


def _fan_out(block: np.ndarray, density: float, random: np.random.Generator) -> None:
    """Connects every row to so many columns, and then the columns that were left out to as many rows as is usual."""
    rows, columns = block.shape
    count = max(int(columns * density), 1)
    for row in block:
        row[random.choice(columns, count, replace=False)] = _signs(count, random)
    usual = min(max(rows * count // columns, 1), rows)
    for column in np.flatnonzero(~block.any(0)):
        block[random.choice(rows, usual, replace=False), column] = _signs(usual, random)


def _among(block: np.ndarray, density: float, random: np.random.Generator) -> None:
    """Connects the neurons of a layer to each other, or to themselves."""
    count = min(max(int(2 * len(block) * density), 1), block.size)
    sources, targets = np.unravel_index(random.choice(block.size, count, replace=False), block.shape)
    block[sources, targets] = _signs(count, random)
