"""The plain Mamba stack against its blocks in a row, in pieces and causally; sizes that match another network's."""

import pytest
import torch
from torch.nn import functional as F

from neurofmx.models.configs import LstmConfig, MambaConfig, TransformerConfig
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.mamba import MambaStack
from neurofmx.models.size import backbone_parameters, equal_size


def stack(**changes: object) -> MambaStack:
    torch.manual_seed(0)
    return MambaStack(MambaConfig(**{"hidden_dim": 8, "num_layers": 2, "d_state": 4} | changes)).double().eval()


def test_it_is_its_blocks_in_a_row_each_added_to_its_input() -> None:
    net, x = stack(), torch.randn(2, 7, 8, dtype=torch.float64)
    y = x
    for block in net.blocks:
        y = y + block.mamba(F.layer_norm(y, (8,)))[0]  # the norms start without scale and shift
    torch.testing.assert_close(net(x)[0], F.layer_norm(y, (8,)))


def test_pieces_equal_one_pass() -> None:
    net, x = stack(), torch.randn(3, 23, 8, dtype=torch.float64)
    whole, last = net(x)
    state, pieces = None, []
    for piece in x.split([1, 7, 2, 13], dim=1):
        out, state = net(piece, state)
        pieces.append(out)
    torch.testing.assert_close((torch.cat(pieces, 1), state), (whole, last), rtol=1e-10, atol=1e-10)


def test_the_past_does_not_see_the_future() -> None:
    net, x = stack(), torch.randn(2, 12, 8, dtype=torch.float64)
    before, _ = net(x)
    x[:, 7:] += torch.randn_like(x[:, 7:])  # a shift alone would not pass the norms
    after, _ = net(x)
    torch.testing.assert_close(before[:, :7], after[:, :7], rtol=1e-12, atol=1e-12)
    assert (before[:, 7:] - after[:, 7:]).abs().max() > 1e-3


def test_it_names_what_computes_it() -> None:
    assert stack(kernels="reference").kernels == "reference"


def closed_form(family: str, config: LstmConfig | MambaConfig | TransformerConfig) -> int:
    """Parameters of a backbone, counted by hand."""
    d, layers = config.hidden_dim, config.num_layers
    if isinstance(config, LstmConfig):
        return layers * 4 * d * (2 * d + 2)
    if isinstance(config, TransformerConfig):
        wide = config.feedforward * d
        return layers * (4 * d * d + 4 * d + 2 * d * wide + wide + d + 4 * d) + 2 * d
    inner, n, rank = config.expand * d, config.d_state, -(-d // 16)
    block = 2 * d * inner + (config.d_conv + 1) * inner + inner * (rank + 2 * n) + (rank + 1) * inner
    return layers * (block + inner * n + inner + inner * d + 2 * d) + 2 * d


@pytest.mark.parametrize(
    ("family", "config"),
    [
        ("lstm", LstmConfig(hidden_dim=48, num_layers=3)),
        ("transformer", TransformerConfig(hidden_dim=48, num_layers=2, feedforward=3)),
        ("mamba", MambaConfig(hidden_dim=40, num_layers=3, d_state=5, d_conv=3, expand=2)),
    ],
)
def test_parameters_are_those_counted_by_hand(family: str, config: LstmConfig) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    assert backbone_parameters(family, config) == closed_form(family, config)
    assert torch.equal(torch.rand(1), expected), "counting draws no random number of the caller's"


def test_equal_size_is_the_nearest_of_all() -> None:
    target = backbone_parameters("hybrid", HybridConfig(hidden_dim=16, liquid_units=16, num_layers=1))
    for family, config in (("lstm", LstmConfig(hidden_dim=16)), ("mamba", MambaConfig(hidden_dim=16))):
        knobs = {"num_layers": range(1, 6), "hidden_dim": (12, 16, 24)}
        found = equal_size(family, target, config=config, knobs=knobs)
        away = {
            (layers, width): abs(
                closed_form(family, config.model_copy(update={"num_layers": layers, "hidden_dim": width})) - target
            )
            for layers in knobs["num_layers"]
            for width in knobs["hidden_dim"]
        }
        assert away[found["num_layers"], found["hidden_dim"]] == min(away.values())


def test_sizes_that_are_no_config_are_passed_over_or_refused() -> None:
    config = TransformerConfig(hidden_dim=8, num_attention_heads=2)
    assert equal_size("transformer", 10, config=config, knobs={"hidden_dim": (6, 8)}) == {"hidden_dim": 8}
    with pytest.raises(ValueError, match="no combination of hidden_dim is a valid config of transformer"):
        equal_size("transformer", 10, config=config, knobs={"hidden_dim": (5, 6)})
    with pytest.raises(ValueError, match="'linear' is no network"):
        backbone_parameters("linear", config)
