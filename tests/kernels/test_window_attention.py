"""Attention with a window on every path against a loop over queries, heads and keys, and what it drops."""

from __future__ import annotations

import math
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.compiled import assert_bits_depend_on_nothing, assert_survives_a_fork
from tests.reference import gradients
from torch.nn.functional import scaled_dot_product_attention

from neurofmx.kernels.cpu.window_attention import CHUNK, SPAN
from neurofmx.kernels.cpu.window_attention_op import window_attention_backward_op, window_attention_op
from neurofmx.kernels.dropout import draw_seed, kept
from neurofmx.kernels.window_attention import measured_window_attention, window_attention

PATHS = ("reference", "numba")
SEED = torch.tensor(2**62 + 12345)
few = settings(max_examples=8, deadline=None, derandomize=True)


def arguments(batch=2, length=5, keys=None, heads=2, size=3, dtype=torch.float64):
    """Random queries, keys and values that want gradients, all of them parts of wider tensors."""
    torch.manual_seed(0)
    queries = torch.randn(batch, length, 3 * heads * size, dtype=dtype)[..., 1 : 1 + heads * size]
    both = torch.randn(batch, keys or length, 3 * heads * size, dtype=dtype)[..., heads * size :]
    return [tensor.detach().requires_grad_() for tensor in (queries, both)]


def run(inputs, path="numba", heads=2, window=None, dropout=0.0, seed=SEED):
    """Outputs."""
    return window_attention(*inputs, heads=heads, window=window, dropout=dropout, seed=seed, path=path)


def by_loops(inputs, heads=2, window=None, dropout=0.0):
    """The formula, one query of one head after the other."""
    queries, both = inputs
    keys, values = both.chunk(2, -1)
    (batch, length, width), every = queries.shape, keys.shape[1]
    size, found = width // heads, queries * 0 + both.sum() * 0
    rows, positions = torch.arange(batch * heads), torch.arange(every)
    stays = kept(SEED, rows, positions[every - length :], positions, dropout).to(queries.dtype) / (1 - dropout)
    for b in range(batch):
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            for t in range(length):
                last = every - length + t
                first = 0 if window is None else max(0, last - window + 1)
                scores = keys[b, first : last + 1, part] @ queries[b, t, part] / math.sqrt(size)
                weights = scores.softmax(0) * stays[b * heads + h, t, first : last + 1]
                found[b, t, part] = weights @ values[b, first : last + 1, part]
    return found


SHAPES = (  # batch, length, keys, heads, size, window
    (2, 8, 8, 4, 16, 128),
    (1, 1, 1, 1, 1, None),
    (2, 5, 9, 2, 3, 4),
    (3, 17, 33, 2, 20, 7),
    (1, 40, 41, 3, 17, 2),
    (1, 3, 70, 1, 5, 8),
    (1, 50, 60, 2, 33, None),
    (0, 5, 6, 2, 3, 4),
)


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("path", PATHS)
def test_equals_a_loop(path, shape, dropout, dtype, rtol):
    *sizes, window = shape
    inputs, given = arguments(*sizes, dtype=dtype), {"heads": sizes[3], "window": window, "dropout": dropout}
    ours, exact = run(inputs, path, **given), by_loops(inputs, **given)
    for mine, theirs in zip((ours, *gradients([ours], inputs)), (exact, *gradients([exact], inputs)), strict=True):
        largest = theirs.abs().max().item() if theirs.numel() else 0
        torch.testing.assert_close(mine, theirs, rtol=0, atol=rtol * max(largest, 1e-3))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize(
    ("length", "past", "window"),
    [
        (3 * SPAN + 5, 0, 100),
        (SPAN + 1, 90, 100),
        (2 * SPAN + 40, 700, SPAN + 33),
        (2 * CHUNK + 1, 7, None),
        (1, 2 * CHUNK, CHUNK + 3),
    ],
)
def test_long_sequences_equal_the_reference(length, past, window, dropout):
    inputs, given = arguments(2, length, length + past, 2, 20), {"window": window, "dropout": dropout}
    ours, exact = run(inputs, **given), run(inputs, "reference", **given)
    found = gradients([ours], inputs), gradients([exact], inputs)
    torch.testing.assert_close((ours, *found[0]), (exact, *found[1]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("window", [None, 2])
def test_gradcheck(path, window):
    inputs = arguments(length=3, keys=4)
    assert torch.autograd.gradcheck(lambda *given: run(given, path, window=window, dropout=0.4), inputs)


@pytest.mark.parametrize("path", [*PATHS, "library"])
@pytest.mark.parametrize("window", [None, 30, 64])
@pytest.mark.parametrize("past", [0, 10])
def test_without_dropout_it_is_that_of_torch(path, window, past):
    inputs = arguments(2, 40, 40 + past, 2, 20)
    queries = inputs[0].unflatten(2, (2, -1)).transpose(1, 2)
    keys, values = (part.unflatten(2, (2, -1)).transpose(1, 2) for part in inputs[1].chunk(2, -1))
    age = torch.arange(past, past + 40)[:, None] - torch.arange(past + 40)
    mask = (age >= 0) & (age < (window or past + 40))
    exact = scaled_dot_product_attention(queries, keys, values, attn_mask=mask).transpose(1, 2).flatten(2)
    ours = run(inputs, path, window=window)
    found = gradients([ours], inputs), gradients([exact], inputs)
    torch.testing.assert_close((ours, *found[0]), (exact, *found[1]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("past", "window", "masked"),
    [
        (0, None, [False]),
        (0, 64, [False]),
        (0, 40, [False]),
        (0, 30, [False, True]),
        (10, None, [True]),
        (10, 64, [True]),
    ],
)
def test_torchs_attention_gets_a_mask_only_where_more_is_hidden_than_what_is_to_come(past, window, masked, monkeypatch):
    given = []

    def watched(*inputs, attn_mask=None, **how):
        given.append(attn_mask is not None)
        return scaled_dot_product_attention(*inputs, attn_mask=attn_mask, **how)

    monkeypatch.setattr("neurofmx.kernels.window_attention.scaled_dot_product_attention", watched)
    run(arguments(2, 40, 40 + past, 2, 20), "library", window=window)
    assert given == masked


@pytest.mark.parametrize("path", PATHS)
def test_a_window_of_one_finds_the_value_itself(path):
    queries, both = arguments(length=40, keys=45)
    torch.testing.assert_close(run([queries, both], path, window=1), both[:, 5:, 6:], rtol=0, atol=1e-15)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("window", [None, 1, 9])
@given(cuts=st.lists(st.integers(1, 30), min_size=1, max_size=4))
@few
def test_chunks_equal_one_pass(path, window, cuts):
    queries, both = (tensor.detach() for tensor in arguments(length=sum(cuts)))
    whole, parts, cache = run([queries, both], path, window=window), [], both[:, :0]
    for q, new in zip(queries.split(cuts, 1), both.split(cuts, 1), strict=True):
        cache = torch.cat([cache, new], 1)
        parts.append(run([q, cache], path, window=window))
        cache = cache if window is None else cache[:, max(0, cache.shape[1] - window + 1) :]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-12, atol=1e-12)


@given(order=st.permutations(range(5)), window=st.sampled_from([None, 4]))
@few
def test_the_order_of_a_batch_does_not_matter(order, window):
    queries, both = (tensor.detach() for tensor in arguments(5, 20, 23))
    ours = run([queries[order], both[order]], window=window)
    torch.testing.assert_close(ours, run([queries, both], window=window)[order], rtol=0, atol=0)


@pytest.mark.parametrize("path", PATHS)
def test_later_keys_and_those_before_the_window_do_not_matter(path):
    queries, both = (tensor.detach() for tensor in arguments(length=70))
    clean = run([queries, both], path, window=20)
    both[:, 40] = 1e3
    y = run([queries, both], path, window=20)
    assert not torch.equal(y[:, 40:60], clean[:, 40:60])
    y[:, 40:60] = clean[:, 40:60]
    torch.testing.assert_close(y, clean, rtol=0, atol=1e-14)


def entropy_by_loops(inputs, heads=2, window=None):
    """Minus the mean logarithm of a query's weights, one query of one head after the other."""
    queries, both = (tensor.detach() for tensor in inputs)
    (batch, length, width), every = queries.shape, both.shape[1]
    size, found = width // heads, torch.zeros(batch, heads, length, dtype=queries.dtype)
    for b in range(batch):
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            for t in range(length):
                last = every - length + t
                first = 0 if window is None else max(0, last - window + 1)
                p = torch.softmax(both[b, first : last + 1, part] @ queries[b, t, part] / math.sqrt(size), 0)
                found[b, h, t] = -(p * p.log()).sum()
    return found


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
@pytest.mark.parametrize(
    "shape", [*SHAPES, (1, 5, 2 * CHUNK + 9, 2, 3, None), (1, SPAN + 3, SPAN + 9, 1, 4, CHUNK + 7)]
)
@pytest.mark.parametrize("path", [*PATHS, "library"])
def test_entropy_is_that_of_the_weights_and_leaves_the_outputs_alone(path, shape, dtype, atol):
    *sizes, window = shape
    inputs, given = arguments(*sizes, dtype=dtype), {"heads": sizes[3], "window": window, "path": path}
    y, entropy = measured_window_attention(*inputs, dropout=0.3, seed=None if path == "library" else SEED, **given)
    torch.testing.assert_close(entropy, entropy_by_loops(inputs, sizes[3], window), rtol=0, atol=atol)
    assert not entropy.requires_grad
    plain = window_attention(*inputs, dropout=0.3, seed=None if path == "library" else SEED, **given)
    assert torch.equal(y, plain)
    for mine, theirs in zip(gradients([y], inputs), gradients([plain], inputs), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("path", PATHS)
def test_entropy_of_equal_and_of_far_apart_scores(path):
    queries, both = (tensor.detach().float() for tensor in arguments(1, 500, 500))
    equal = measured_window_attention(torch.zeros_like(queries), both, heads=2, path=path).entropy
    torch.testing.assert_close(equal, torch.arange(1, 501).log().expand(1, 2, 500), rtol=0, atol=2e-6 * math.log(500))
    sharp = measured_window_attention(queries * 1e18, both, heads=2, path=path).entropy
    torch.testing.assert_close(sharp, torch.zeros_like(sharp), rtol=0, atol=1e-6)
    alone = measured_window_attention(queries, both, heads=2, window=1, path=path).entropy
    torch.testing.assert_close(alone, torch.zeros_like(alone), rtol=0, atol=1e-6)


def test_entropy_is_measured_in_a_compiled_graph():
    inputs = arguments(length=40, dtype=torch.float32)
    measure = torch.compile(measured_window_attention, fullgraph=True, backend="aot_eager")
    ours, plain = measure(*inputs, heads=2, window=9), measured_window_attention(*inputs, heads=2, window=9)
    torch.testing.assert_close(ours, plain, rtol=0, atol=0)


@pytest.mark.parametrize("path", PATHS)
def test_scores_of_any_size_and_nan(path):
    queries, both = (tensor.detach().float() for tensor in arguments(length=20))
    queries[0] *= 1e18
    assert torch.isfinite(run([queries, both], path, window=4)).all()
    queries[1, 10] = torch.nan
    y = run([queries, both], path, window=4)
    assert torch.isnan(y[1, 10]).all()
    assert torch.isfinite(y[1, :10]).all()
    assert torch.isfinite(y[1, 11:]).all()


@pytest.mark.parametrize("path", PATHS)
def test_dropped_weights_depend_on_the_seed_alone(path):
    inputs = arguments(length=20)
    once = run(inputs, path, dropout=0.5)
    torch.manual_seed(1)
    assert torch.equal(run(inputs, path, dropout=0.5), once)
    assert not torch.equal(run(inputs, path, dropout=0.5, seed=SEED + 1), once)
    assert torch.equal(run(inputs, path, dropout=0.5, seed=None), run(inputs, path))


def test_the_mean_over_seeds_is_the_output_without_dropout():
    inputs = arguments(1, 12, 12)
    mean = sum(run(inputs, dropout=0.3, seed=torch.tensor(seed)) for seed in range(4000)) / 4000
    deviation = (mean - run(inputs)).abs().max()
    assert deviation < 5 * math.sqrt(0.3 / 0.7 / 4000) * inputs[1].abs().max()  # five standard errors at most


def centred(seed, rows, queries, keys, dropout=0.5):
    """+1 where a weight stays and -1 where it is dropped, in float64."""
    drawn = kept(torch.tensor(seed), rows, queries, keys, dropout)
    return drawn.double() * 2 - 1


@pytest.mark.parametrize("dropout", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1, 2**62])
def test_the_share_of_dropped_weights(dropout, seed):
    n = torch.arange(256)
    stays = kept(torch.tensor(seed), n[:64], n, n, dropout).double()
    error = math.sqrt(dropout * (1 - dropout))
    assert abs(stays.mean() - (1 - dropout)) < 4.5 * error / math.sqrt(stays.numel())
    for axes in ((1, 2), (0, 2), (0, 1)):  # of every row, every query and every key
        shares, count = stays.mean(axes), math.prod(stays.shape[axis] for axis in axes)
        assert (shares - (1 - dropout)).abs().max() < 5 * error / math.sqrt(count)
        spread = ((shares - (1 - dropout)) / error * math.sqrt(count)).square().mean()
        assert abs(spread - 1) < 5 * math.sqrt(2 / shares.numel())  # neither clumped nor too even


@pytest.mark.parametrize("seed", [0, 1, 2**62])
def test_dropped_weights_of_neighbours_seeds_and_rectangles_are_independent(seed):
    n = torch.arange(256)
    x = centred(seed, n[:64], n, n)
    pairs = [x.narrow(axis, 0, x.shape[axis] - lag) * x.narrow(axis, lag, x.shape[axis] - lag)
             for axis in range(3) for lag in (1, 2, 3, 16, 32)]  # fmt: skip
    pairs += [x * centred(other, n[:64], n, n) for other in (seed + 1, seed ^ 2**31, seed ^ 2**32, seed ^ 2**61)]
    pairs += [x[:, :-1, :-1] * x[:, 1:, 1:], x[:, 1:, :-1] * x[:, :-1, 1:]]
    pairs += [x[:, :100, 100:200] * x[:, 100:200, :100].transpose(1, 2)]
    corners = x[:, :-1, :-1] * x[:, 1:, :-1] * x[:, :-1, 1:] * x[:, 1:, 1:]
    for product in (*pairs, corners):
        assert abs(product.mean()) < 5.5 / math.sqrt(product.numel())


def test_hashes_are_those_of_a_loop_of_whole_numbers():
    def mix(word, last=True):
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
            word = (word ^ word >> shift) * factor % 2**32
        return word ^ word >> 16 if last else word

    def stays(seed, row, query, key):
        by_query = mix((mix((seed + row * 0x9E3779B9) % 2**32) + query * 0x9E3779B9) % 2**32)
        column = (mix(seed >> 32) + key * 0x9E3779B9) % 2**32
        return mix(by_query ^ column, last=False) >= round(0.3 * 2**32)

    seed, n = 2**63 - 12345, torch.tensor([0, 1, 7, 100_000])
    expected = [[[stays(seed, *map(int, (r, q, k))) for k in n] for q in n] for r in n]
    assert kept(torch.tensor(seed), n, n, n, 0.3).tolist() == expected


def test_seeds_come_from_torch():
    torch.manual_seed(3)
    first = draw_seed(torch.device("cpu"))
    assert first != draw_seed(torch.device("cpu"))
    torch.manual_seed(3)
    assert first == draw_seed(torch.device("cpu"))


@pytest.mark.parametrize("path", PATHS)
def test_half_precision_is_widened(path):
    inputs = [tensor.detach().bfloat16() for tensor in arguments()]
    half = run(inputs, path)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, run([tensor.float() for tensor in inputs], path), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", [None, SEED])
@pytest.mark.parametrize("window", [None, 3])
def test_operators_pass_the_checks_of_torch(dtype, seed, window):
    inputs, given = arguments(length=40, keys=43, dtype=dtype), (seed, 2, window, 0.2)
    torch.library.opcheck(window_attention_op, (*inputs, *given, seed is None))
    queries, both = (tensor.detach() for tensor in inputs)
    y, marks, _ = window_attention_op(queries, both, *given, False)
    torch.library.opcheck(window_attention_backward_op, (torch.ones_like(y), y, marks, queries, both, *given))


def test_compiling_changes_nothing():
    inputs, given = arguments(length=40, dtype=torch.float32), {"window": 9, "dropout": 0.3}
    ours, plain = torch.compile(run, fullgraph=True, backend="aot_eager")(inputs, **given), run(inputs, **given)
    torch.testing.assert_close(ours, plain, rtol=0, atol=0)
    torch.testing.assert_close(gradients([ours], inputs), gradients([plain], inputs), rtol=0, atol=0)


def both_ways(inputs, **given):
    """A function that computes outputs and gradients."""
    return lambda: (run(inputs, **given), *gradients([run(inputs, **given)], inputs))


@pytest.mark.parametrize("shape", [(1, 3 * SPAN, 3 * SPAN + 9, 2, 20), (40, 8, 8, 2, 16)])
def test_bits_depend_on_nothing(shape):
    assert_bits_depend_on_nothing(both_ways(arguments(*shape, dtype=torch.float32), window=100, dropout=0.1))


def test_survives_a_fork():
    assert_survives_a_fork(both_ways(arguments(8, 20, 30, dtype=torch.float32), window=10, dropout=0.1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 4}, r"heads must divide the 6 channels of queries, got 4"),
        ({"window": 0}, r"window must be 1 token or more, got 0; None means no limit"),
        ({"dropout": 1.0}, r"dropout must be 0 or more and below 1, got 1.0"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        run(arguments(), **changes)


def test_wrong_shapes_are_refused():
    queries, both = (tensor.detach() for tensor in arguments())
    with pytest.raises(
        ValueError, match=r"keys_values must have the shape \(batch=2, keys, channels=12\), got \(2, 5, 6\)"
    ):
        run([queries, both[..., :6]])
    with pytest.raises(ValueError, match=r"keys_values must hold a key for every query, got 3 for length=5"):
        run([queries, both[:, :3]])


def test_a_path_says_what_it_needs(monkeypatch):
    inputs = [tensor.detach() for tensor in arguments()]
    with pytest.raises(ValueError, match=r"queries must be on a CUDA device for path='cuda', got cpu"):
        run(inputs, "cuda")
    with pytest.raises(ValueError, match=r"queries must be float32 or float64 for path='numba', got torch.int64"):
        run([tensor.long() for tensor in inputs], "numba")
    for part in ("compiled", "simd.tiles", "simd.products", "window_attention", "window_attention_op"):
        monkeypatch.delitem(sys.modules, f"neurofmx.kernels.cpu.{part}", raising=False)
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(ImportError, match=r"needs numba.*pip install numba.*path='reference'"):
        run(inputs, "numba")
