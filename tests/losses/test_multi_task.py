"""Weights of several losses: their optima, what a missing loss leaves alone, and resuming."""

import math

import pytest
import torch
from torch import Tensor, nn

from neurofmx.losses.gradnorm import GradNorm
from neurofmx.losses.multi_task import MultiTaskLossManager
from neurofmx.losses.table import WEIGHTINGS
from neurofmx.training.checkpoints.checkpoint import load_checkpoint, save_checkpoint

NAMES = ("reconstruction", "cao2021/spikes", "forecast")


def manager(weighting: str, names: tuple[str, ...] = NAMES, **options: object) -> MultiTaskLossManager:
    return MultiTaskLossManager(names, weighting=weighting, **options).double()


def value(number: float) -> Tensor:
    return torch.tensor(number, dtype=torch.float64)


def with_slopes(shared: Tensor, sizes: dict[str, float], values: dict[str, float]) -> dict[str, Tensor]:
    """Losses of known values, each with a gradient of known length in a direction of its own."""
    return {
        name: size * (shared[place] - shared[place].detach()) + values[name]
        for place, (name, size) in enumerate(sizes.items())
    }


def test_fixed_weights_are_the_weighted_sum() -> None:
    join = manager("fixed", weights={"forecast": 0.25})
    losses = {"reconstruction": value(2.0), "cao2021/spikes": None, "forecast": value(4.0)}
    assert join(losses).item() == 3.0
    assert join.weights() == {"reconstruction": 1.0, "cao2021/spikes": 1.0, "forecast": 0.25}
    for weights in ({"forcast": 1.0}, {"forecast": -1.0}, {"forecast": math.nan}):
        with pytest.raises(ValueError, match="weights="):
            manager("fixed", weights=weights)


def test_learnt_uncertainty_ends_at_the_logarithm_of_each_loss() -> None:
    join = manager("uncertainty")
    losses = {"reconstruction": value(0.03), "cao2021/spikes": value(1.0), "forecast": value(20.0)}
    optimizer = torch.optim.Adam(join.parameters(), lr=0.05)
    for _ in range(500):
        optimizer.zero_grad()
        join(losses).backward()
        optimizer.step()
    learnt = join.weighting.log_variance
    for name, loss in losses.items():
        assert learnt[name].item() == pytest.approx(math.log(loss), abs=1e-3)
        assert join.weights()[name] == pytest.approx(1 / (2 * loss.item()), rel=1e-3)
    # there the total is the sum of (1 + log L) / 2, and all terms pull equally hard on what lowers their logarithm
    assert join(losses).item() == pytest.approx(sum((1 + math.log(loss)) / 2 for loss in losses.values()), abs=1e-5)


def test_uncertainty_is_the_likelihood_of_two_gaussians() -> None:
    # of residuals with standard deviations 0.1 and 5 it finds the variances, and weighs by their precisions
    rng = torch.Generator().manual_seed(0)
    residual = {name: std * torch.randn(4000, generator=rng) for name, std in (("a", 0.1), ("b", 5.0))}
    losses = {name: each.double().square().mean() for name, each in residual.items()}
    join = manager("uncertainty", ("a", "b"))
    optimizer = torch.optim.LBFGS(join.parameters(), line_search_fn="strong_wolfe", max_iter=50)

    def closure() -> Tensor:
        optimizer.zero_grad()
        total = join(losses)
        total.backward()
        return total

    optimizer.step(closure)  # pyright: ignore[reportArgumentType]
    precision = {name: 1 / each.var(correction=0).item() for name, each in residual.items()}
    assert join.weights()["a"] == pytest.approx(precision["a"] / 2, rel=0.01)
    assert join.weights()["b"] == pytest.approx(precision["b"] / 2, rel=0.01)


def test_uncertainty_refuses_what_has_no_optimum() -> None:
    with pytest.raises(ValueError, match=r"losses {'forecast': -0.5} are below 0"):
        manager("uncertainty")({"forecast": value(-0.5), "reconstruction": value(1.0)})


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.5])
def test_gradnorm_levels_gradients_up_to_the_rates_of_learning(alpha: float) -> None:
    join, shared = manager("gradnorm", ("quick", "slow"), alpha=alpha, rate=0.01), torch.zeros(2, requires_grad=True)
    shared = shared.double().detach().requires_grad_()
    sizes = {"quick": 8.0, "slow": 0.5}
    join(with_slopes(shared, sizes, {"quick": 10.0, "slow": 3.0}), shared=[shared])
    for _ in range(600):  # since the first step the quick loss fell to a fifth, the slow one to nine tenths
        join(with_slopes(shared, sizes, {"quick": 2.0, "slow": 2.7}), shared=[shared])
    ratio = {"quick": 0.2 / 0.55, "slow": 0.9 / 0.55}
    pulls = {name: ratio[name] ** alpha / sizes[name] for name in sizes}
    expected = {name: 2 * pull / sum(pulls.values()) for name, pull in pulls.items()}
    for name, weight in join.weights().items():
        assert weight == pytest.approx(expected[name], abs=0.02)
    assert sum(join.weights().values()) == pytest.approx(2)


def test_gradnorm_moves_a_weight_as_adam_would() -> None:
    balance = GradNorm(("only",)).double()._of("only")
    theirs = torch.ones((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([theirs], lr=0.03)
    for slope in torch.randn(20, generator=torch.Generator().manual_seed(0)).double():
        balance.step(slope, rate=0.03)
        theirs.grad = slope
        optimizer.step()
        assert balance.weight.item() == pytest.approx(theirs.item(), rel=1e-12)
    for _ in range(60):
        balance.step(value(1.0), rate=0.5)
    assert balance.weight.item() > 0  # at 0 it would stay for ever


def test_gradnorm_brings_two_regressions_of_unlike_units_down_together() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 6, dtype=torch.float64)
    targets = {"small": x @ torch.randn(6, 2).double(), "large": 10 * x @ torch.randn(6, 2).double()}

    def left(weighting: str) -> dict[str, float]:
        torch.manual_seed(1)
        body = nn.Linear(6, 6).double()
        heads = nn.ModuleDict({name: nn.Linear(6, 2).double() for name in targets})
        join = manager(weighting, tuple(targets))
        optimizer = torch.optim.SGD([*body.parameters(), *heads.parameters()], lr=2e-3)
        first = None
        for _ in range(150):
            losses = {name: (heads[name](body(x)) - targets[name]).square().mean() for name in targets}
            first = first or {name: loss.item() for name, loss in losses.items()}
            optimizer.zero_grad()
            join(losses, shared=body.parameters()).backward()
            optimizer.step()
        return {name: losses[name].item() / first[name] for name in targets}

    def spread(shares: dict[str, float]) -> float:
        return abs(math.log(shares["small"] / shares["large"]))

    assert spread(left("gradnorm")) < 0.5 * spread(left("fixed"))


def test_gradnorm_leaves_gradients_of_the_network_to_the_total() -> None:
    shared = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    join = manager("gradnorm")
    losses = with_slopes(shared, dict.fromkeys(NAMES, 2.0), dict.fromkeys(NAMES, 1.0))
    total = join(losses, shared=[shared])
    assert shared.grad is None
    total.backward()  # the weights of this step are those before it
    torch.testing.assert_close(shared.grad, torch.full((3,), 2.0).double())
    assert not list(join.parameters())


def test_gradnorm_moves_in_training_alone() -> None:
    shared = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    sizes = dict(zip(NAMES, (1.0, 5.0, 9.0), strict=True))
    join = manager("gradnorm").eval()
    before = join.weights()
    join(with_slopes(shared, sizes, dict.fromkeys(NAMES, 1.0)))
    assert join.weights() == before
    with torch.no_grad():
        join.train()(with_slopes(shared, sizes, dict.fromkeys(NAMES, 1.0)))
    assert join.weights() == before
    join(with_slopes(shared, sizes, dict.fromkeys(NAMES, 1.0)), shared=[shared])
    assert join.weights() != before
    with pytest.raises(ValueError, match="shared is empty"):
        join(with_slopes(shared, sizes, dict.fromkeys(NAMES, 1.0)))
    with pytest.raises(ValueError, match="'forecast' does not go through"):
        join({"forecast": value(1.0).requires_grad_()}, shared=[shared])
    for options in ({"alpha": -1.0}, {"rate": 0.0}):
        with pytest.raises(ValueError, match="must be"):
            GradNorm(NAMES, **options)


def test_gradnorm_begins_with_the_first_loss_above_zero() -> None:
    shared = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    join, sizes = manager("gradnorm"), dict.fromkeys(NAMES, 1.0)
    for first in (0.0, 4.0, 2.0):  # a loss over nothing is 0, and is nothing to hold later ones against
        join(with_slopes(shared, sizes, dict.fromkeys(NAMES, 1.0) | {"forecast": first}), shared=[shared])
    state = join.state_dict()
    assert state["weighting.balance.forecast.initial"].item() == 4
    assert state["weighting.balance.forecast.ratio"].item() == 0.5
    assert all(math.isfinite(weight) for weight in join.weights().values())


@pytest.mark.parametrize("weighting", sorted(WEIGHTINGS))
def test_what_a_step_lacks_is_left_alone(weighting: str) -> None:
    shared = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    join = manager(weighting)
    optimizer = torch.optim.SGD([shared, *join.parameters()], lr=0.1)
    sizes = dict(zip(NAMES, (1.0, 5.0, 9.0), strict=True))
    before = join.weights()
    for _ in range(3):
        losses = with_slopes(shared, sizes, dict.fromkeys(NAMES, 3.0))
        optimizer.zero_grad()
        join({name: loss for name, loss in losses.items() if name != "forecast"}, shared=[shared]).backward()
        optimizer.step()
    after = join.weights()
    assert after["forecast"] == before["forecast"]
    assert (after["reconstruction"] != before["reconstruction"]) == (weighting != "fixed")
    assert shared[2].item() == 0


@pytest.mark.parametrize("weighting", sorted(WEIGHTINGS))
def test_a_training_that_was_cut_off_goes_on_with_the_same_bits(weighting: str, tmp_path) -> None:
    def run(join: MultiTaskLossManager, shared: Tensor, steps: range) -> None:
        optimizer = torch.optim.SGD([shared, *join.parameters()], lr=0.01)
        for step in steps:
            losses = {n: (shared[i] - i).square() * (i + 1) + 0.1 for i, n in enumerate(NAMES) if (step + i) % 3}
            optimizer.zero_grad()
            join(losses, shared=[shared]).backward()
            optimizer.step()

    whole, shared = manager(weighting), torch.full((3,), 5.0, dtype=torch.float64, requires_grad=True)
    run(whole, shared, range(20))
    first, half = manager(weighting), torch.full((3,), 5.0, dtype=torch.float64, requires_grad=True)
    run(first, half, range(9))
    save_checkpoint(tmp_path / "state.safetensors", first.state_dict())
    second = manager(weighting)
    second.load_state_dict(load_checkpoint(tmp_path / "state.safetensors")[0])
    assert second.weights() == first.weights()
    run(second, half, range(9, 20))
    assert second.weights() == whole.weights()
    assert torch.equal(half, shared)


def test_a_state_of_other_losses_is_refused_by_name() -> None:
    for weighting in ("uncertainty", "gradnorm"):
        with pytest.raises(RuntimeError, match="contrast"):
            manager(weighting).load_state_dict(manager(weighting, ("contrast", *NAMES[1:])).state_dict())


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({}, "none of"),
        ({"forecast": None}, "none of"),
        ({"forcast": torch.ones(())}, "not among"),
        ({"forecast": torch.ones(2)}, "must be scalars"),
    ],
)
def test_wrong_losses_are_refused(losses: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        manager("fixed")(losses)


def test_wrong_names_are_refused() -> None:
    for names in ((), ("a", "a"), ("a.b",), ("",)):
        with pytest.raises(ValueError, match="a name of its own"):
            MultiTaskLossManager(names)
    with pytest.raises(ValueError, match="did you mean 'gradnorm'"):
        MultiTaskLossManager(NAMES, weighting="gradnrom")
