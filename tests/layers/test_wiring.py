"""Wirings of neural circuit policies against those of ncps and the rules they are drawn by."""

from __future__ import annotations

import ncps.wirings
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofmx.layers.wiring import neural_circuit

sizes = st.tuples(st.integers(1, 20), st.integers(5, 60), st.integers(1, 20), st.sampled_from([0.1, 0.3, 0.5, 0.9]))
FEW = settings(max_examples=40, deadline=None, derandomize=True)


def blocks(sensory, recurrent, layers):
    """The four blocks that may have synapses, and all others in one row."""
    motor, command, inter = layers["motor"], layers["command"], layers["inter"]
    inside = {
        "sensory to inter": sensory[:, inter],
        "inter to command": recurrent[inter, command],
        "command to command": recurrent[command, command],
        "command to motor": recurrent[command, motor],
    }
    outside = [sensory[:, motor], sensory[:, command], recurrent[motor], recurrent[inter, motor]]
    outside += [recurrent[inter, inter], recurrent[command, inter]]
    return inside, np.concatenate([block.flatten() for block in outside])


def peer_of(inputs, units, motor, sparsity):
    """The wiring that ncps draws for the same sizes."""
    peer = ncps.wirings.AutoNCP(units, motor, sparsity_level=sparsity)
    peer.build(inputs)
    return peer


@pytest.mark.parametrize("size", [(8, 19, 3, 0.5), (30, 64, 19, 0.5), (12, 100, 30, 0.3), (64, 256, 77, 0.8)])
def test_layers_and_numbers_of_synapses_are_those_of_ncps(size):
    inputs, units, motor, sparsity = size
    peer = peer_of(*size)
    ours = neural_circuit(inputs, units, motor=motor, sparsity=sparsity)
    kinds = [peer.get_type_of_neuron(neuron) for neuron in range(units)]
    assert {name: kinds[place] for name, place in ours.layers.items()} == {
        name: [name] * len(kinds[place]) for name, place in ours.layers.items()
    }
    inside, _ = blocks(ours.sensory, ours.recurrent, ours.layers)
    theirs, outside = blocks(peer.sensory_adjacency_matrix, peer.adjacency_matrix, ours.layers)
    assert not outside.any()  # nor has ncps a synapse where ours may have none
    for name in ("sensory to inter", "inter to command", "command to motor"):
        assert np.count_nonzero(inside[name]) == np.count_nonzero(theirs[name])
    # ncps draws these with replacement, and may draw one twice
    assert np.count_nonzero(inside["command to command"]) >= np.count_nonzero(theirs["command to command"])


@given(size=sizes, seed=st.integers(0, 5))
@FEW
def test_every_neuron_has_its_synapses_and_no_layer_is_skipped(size, seed):
    inputs, units, motor, sparsity = size
    motor = min(motor, units - 3)
    wiring = neural_circuit(inputs, units, motor=motor, sparsity=sparsity, seed=seed)
    inside, outside = blocks(wiring.sensory, wiring.recurrent, wiring.layers)
    assert not outside.any()
    for name in ("sensory to inter", "inter to command", "command to motor"):
        assert inside[name].any(0).all()  # every target is reached
        assert inside[name].any(1).all()  # and every source is heard
    inter, command = inside["inter to command"].shape
    density = 1 - sparsity
    fans = {
        "sensory to inter": (inside["sensory to inter"] != 0).sum(1).min() >= max(int(inter * density), 1),
        "inter to command": (inside["inter to command"] != 0).sum(1).min() >= max(int(command * density), 1),
        "command to motor": (inside["command to motor"] != 0).sum(0).min() >= max(int(command * density), 1),
    }
    assert all(fans.values()), fans
    among = np.count_nonzero(inside["command to command"])
    assert among == min(max(int(2 * command * density), 1), command * command)
    assert set(np.unique(wiring.recurrent)) <= {-1, 0, 1}


def test_signs_are_even_and_the_seed_decides():
    wiring = neural_circuit(64, 256, motor=77, seed=3)
    signs = wiring.recurrent[wiring.recurrent != 0]
    assert abs(signs.mean()) < 4 / np.sqrt(len(signs))
    again, other = neural_circuit(64, 256, motor=77, seed=3), neural_circuit(64, 256, motor=77, seed=4)
    assert np.array_equal(wiring.recurrent, again.recurrent)
    assert np.array_equal(wiring.sensory, again.sensory)
    assert not np.array_equal(wiring.recurrent, other.recurrent)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"motor": 0}, r"motor must be 1 or more and below units - 2 = 8, got 0"),
        ({"motor": 8}, r"motor must be 1 or more and below units - 2 = 8, got 8"),
        ({"sparsity": 0.95}, r"sparsity must be from 0\.1 to 0\.9, got 0\.95"),
    ],
)
def test_wrong_sizes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        neural_circuit(4, 10, **({"motor": 3} | change))
