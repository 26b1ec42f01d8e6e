"""A whole network where numba is installed and broken: it trains as with numba, and says once what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

TRAIN = """
import json, warnings
import torch
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.hybrid.network import MambaLiquidSpikingNetwork

torch.set_num_threads(1)
torch.manual_seed(0)
sizes = dict(input_dim=3, output_dim=2, hidden_dim=8, liquid_units=6, spiking_units=7, backbone_units=5, num_layers=2)
more = dict(num_spike_steps=3, mamba_d_state=4, num_gate_heads=2, cross_attn_heads=2, dropout=0.0)
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    names, losses = [], []
    for liquid in ("cfc", "ltc"):
        model = MambaLiquidSpikingNetwork(HybridConfig(**sizes, **more, liquid_backbone=liquid)).double()
        optimizer, x = torch.optim.SGD(model.parameters(), lr=0.1), torch.randn(2, 12, 3).double()
        for _ in range(3):
            y, _ = model(x)
            loss = (y - x[..., :2]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        names.append(model.kernels)
print(json.dumps([names, losses, y.flatten().tolist(), [str(warning.message) for warning in said]]))
"""


def train(folder: str) -> list:
    """What a process of its own says, with a folder in front of the others that are searched for modules."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([folder, *sys.path])}
    done = subprocess.run([sys.executable, "-c", TRAIN], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_network_trains_without_numba_and_warns_once(tmp_path: Path) -> None:
    (tmp_path / "numba.py").write_text("raise SystemError('initialization of _internal failed')")
    names, losses, y, said = train(str(tmp_path))
    assert names == ["reference", "reference"]
    assert len(said) == 1
    assert "numba can't be imported (SystemError('initialization of _internal failed'))" in said[0]
    assert said[0].endswith("run `pip install --upgrade numba`")
    with redirect_stdout(StringIO()) as printed:
        exec(TRAIN, {})
    compiled_names, compiled_losses, compiled_y, complaints = json.loads(printed.getvalue())
    assert compiled_names == ["numba", "numba"]
    assert complaints == []
    for one, other in zip((*losses, *y), (*compiled_losses, *compiled_y), strict=True):
        assert abs(one - other) < 1e-9
