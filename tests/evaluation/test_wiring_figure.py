"""The picture of a circuit: every synapse is drawn once, between its layers and in the colour of its sign."""

from __future__ import annotations

from pathlib import Path

import ncps.wirings
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.image import imread

from neurofmx.evaluation import wiring_figure as module
from neurofmx.evaluation.wiring_figure import LAYERS, main, network_figure, synapses, wiring_figure
from neurofmx.layers.liquid import circuit, liquid_cell
from neurofmx.layers.wiring import Wiring, neural_circuit
from neurofmx.models.hybrid.block_parts import liquid
from neurofmx.models.hybrid.config import HybridConfig


def of_ncps(inputs: int, units: int, motor: int) -> tuple[ncps.wirings.AutoNCP, Wiring]:
    """A wiring drawn by ncps, and the same as ours."""
    peer = ncps.wirings.AutoNCP(units, motor)
    peer.build(inputs)
    kinds = [peer.get_type_of_neuron(neuron) for neuron in range(units)]
    return peer, Wiring(peer.sensory_adjacency_matrix, peer.adjacency_matrix, motor, kinds.count("command"))


def test_every_synapse_of_ncps_is_listed_under_its_layers_and_sign() -> None:
    peer, wiring = of_ncps(5, 20, 4)
    found = list(synapses(wiring))
    assert len(found) == peer.synapse_count + peer.sensory_synapse_count
    first = {name: wiring.layers[name].start for name in LAYERS[1:]}
    for source_layer, source, target_layer, target, sign in found:
        unit = first[target_layer] + target
        assert peer.get_type_of_neuron(unit) == target_layer
        if source_layer == "sensory":
            assert peer.sensory_adjacency_matrix[source, unit] == sign
        else:
            assert peer.get_type_of_neuron(first[source_layer] + source) == source_layer
            assert peer.adjacency_matrix[first[source_layer] + source, unit] == sign


def test_lines_are_as_many_as_synapses_of_a_sign_and_end_at_their_neurons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiring, panels = neural_circuit(4, 19, motor=3), []
    legend = module._legend
    monkeypatch.setattr(module, "_legend", lambda panel, kinds: (panels.append(panel), legend(panel, kinds)))
    wiring_figure(wiring, tmp_path / "a.png")
    lines = {c.get_gid(): c.get_segments() for c in panels[0].collections if isinstance(c, LineCollection)}
    for sign, name in ((1, "excitatory"), (-1, "inhibitory")):
        of_sign = [s for s in synapses(wiring) if s.sign == sign]
        assert len(lines[name]) == len(of_sign)
        for (source_layer, _, target_layer, *_), line in zip(of_sign, lines[name], strict=True):
            assert line[0][0] == LAYERS.index(source_layer)
            assert line[-1][0] == pytest.approx(LAYERS.index(target_layer))
    texts = [text.get_text() for text in panels[0].texts]
    assert texts == ["sensory (4)", "inter (10)", "command (6)", "motor (3)"]


def test_the_same_circuit_draws_the_same_bytes_within_the_picture(tmp_path: Path) -> None:
    main(["4", "19", str(tmp_path / "a.png"), "--motor", "3"])
    wiring_figure(neural_circuit(4, 19, motor=3), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    pixels = imread(tmp_path / "a.png")[..., :3]
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    assert all((edge == 1).all() for edge in edges)
    assert (pixels < 1).any()


def test_the_command_draws_the_circuit_of_the_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["6", "12", str(tmp_path / "net.png")])
    wiring_figure(circuit(6, 12), tmp_path / "same.png")
    assert (tmp_path / "net.png").read_bytes() == (tmp_path / "same.png").read_bytes()
    cell = liquid_cell("ncp", 6, 12)
    assert np.array_equal(cell.wiring.recurrent, circuit(6, 12).recurrent)  # type: ignore[union-attr]
    count = int(sum(part.wired.sum() for part in (cell.sensory, cell.recurrent)))  # type: ignore[union-attr]
    assert capsys.readouterr().out.endswith(f": {count} synapses\n")


def test_impossible_circuits_are_refused_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["4", "10", str(tmp_path / "x.png"), "--motor", "8"])
    assert "motor must be 1 or more and below units - 2 = 8, got 8" in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()


def test_a_closed_form_circuit_shows_what_its_masks_let_through_and_no_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panels, legend = [], module._legend
    monkeypatch.setattr(module, "_legend", lambda panel, kinds: (panels.append(panel), legend(panel, kinds)))
    wiring_figure(circuit(6, 12), tmp_path / "a.png", cell="cfc")
    (lines,) = [c for c in panels[0].collections if isinstance(c, LineCollection)]
    cell = liquid_cell("ncp", 6, 12, ncp_cell="cfc")
    sources = {"inter": 6, "command": 5, "motor": 3}  # of each layer, its own neurons left out
    let = {name: cell.get_buffer(f"wired_{name}") for name in sources}
    wired = sum(int(let[name][: len(let[name]) // 4, :number].sum()) for name, number in sources.items())
    assert len(lines.get_segments()) == wired
    assert all(line[0][0] < line[-1][0] for line in lines.get_segments())
    assert [text.get_text() for text in panels[0].get_legend().get_texts()] == [module.ANY_SIGN[0]]


@pytest.mark.parametrize("cell", ["ltc", "cfc"])
def test_the_picture_of_a_network_is_that_of_its_cells(tmp_path: Path, cell: str) -> None:
    shares = {"ncp_sparsity": 0.3, "ncp_motor_share": 0.4, "ncp_seed": 5}
    sizes = {"hidden_dim": 6, "liquid_units": 12, "use_mamba": False}
    config = HybridConfig(**sizes, liquid_backbone="ncp", ncp_cell=cell, **shares)
    network_figure(config, tmp_path / "net.png")
    wiring = liquid(config).wiring
    assert wiring.motor == 5  # 0.4 of 12
    wiring_figure(wiring, tmp_path / "same.png", cell=cell)
    assert (tmp_path / "net.png").read_bytes() == (tmp_path / "same.png").read_bytes()
    wiring_figure(circuit(6, 12), tmp_path / "other.png", cell=cell)
    assert (tmp_path / "net.png").read_bytes() != (tmp_path / "other.png").read_bytes()
    with pytest.raises(ValueError, match="liquid_backbone=cfc has all synapses"):
        network_figure(HybridConfig(), tmp_path / "none.png")
