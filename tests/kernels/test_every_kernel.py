"""What holds for all compiled kernels alike: any layout, any number of threads, forks, half precision, and NaN."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
import torch
from tests.kernels import test_alif, test_causal_conv, test_lif, test_lif_readout, test_ltc, test_selective_scan
from tests.kernels.compiled import assert_bits_depend_on_nothing, assert_survives_a_fork, at_threads, same_bits
from tests.reference import gradients
from torch import Tensor
from torch.utils.data import DataLoader, Dataset


class Kernel(NamedTuple):
    """How to call a kernel.

    Args:
        arguments: Makes inputs that want gradients from batch, length, channels and type of numbers.
        run: Outputs and last states, which have gradients, from the inputs and the path.
        shapes: Sizes of calls that are shared out among threads, in blocks of sequences and of channels.
    """

    arguments: Callable[..., list[Tensor]]
    run: Callable[..., Sequence[Tensor]]
    shapes: Sequence[tuple[int, int, int]]


def conv(batch=2, length=5, channels=3, dtype=torch.float64):
    return test_causal_conv.arguments(batch, length, channels, 4, dtype)


def scan(batch=2, length=5, channels=3, dtype=torch.float64):
    return test_selective_scan.arguments(batch, length, channels, 4, dtype)


def ltc(batch=2, length=5, channels=3, dtype=torch.float64):
    return test_ltc.arguments(batch, length, 4, channels, dtype)


def run_readout(inputs, path):
    return test_lif_readout.call(inputs, path=path)[:4]  # without the number of spikes


KERNELS = {
    "causal_conv": Kernel(conv, test_causal_conv.run, ((3, 70, 600), (300, 3, 20))),
    "selective_scan": Kernel(scan, test_selective_scan.run, ((2, 70, 600), (1, 40, 600), (130, 3, 20))),
    "lif": Kernel(test_lif.arguments, lambda inputs, path: test_lif.call(inputs, hold=2, path=path), ((5, 6, 300),)),
    "alif": Kernel(test_alif.arguments, lambda inputs, path: test_alif.call(inputs, hold=2, path=path), ((5, 6, 300),)),
    "lif_readout": Kernel(test_lif_readout.arguments, run_readout, ((11, 6, 100), (2, 6, 300))),
    "ltc": Kernel(ltc, lambda inputs, path: test_ltc.call(inputs, path=path), ((1, 12, 20), (3, 12, 20), (17, 12, 20))),
}
NAMES = pytest.mark.parametrize("name", KERNELS)


def forward_and_backward(name, inputs, path="numba"):
    """All outputs, states and gradients."""
    outputs = KERNELS[name].run(inputs, path)
    return [*outputs, *gradients(outputs, inputs)]


def leaves(inputs):
    """Tensors that want gradients of their own."""
    return [tensor.detach().requires_grad_() for tensor in inputs]


@pytest.mark.parametrize(("name", "shape"), [(name, shape) for name in KERNELS for shape in KERNELS[name].shapes])
def test_bits_depend_neither_on_the_run_nor_on_threads(name, shape):
    inputs = KERNELS[name].arguments(*shape, torch.float32)
    assert_bits_depend_on_nothing(lambda: forward_and_backward(name, inputs))


def small(name):
    """Inputs of a call that is shared out, of which torch would not share out any: its threads die in a fork."""
    return KERNELS[name].arguments(4, 6, 300 if name != "ltc" else 20, torch.float32)


@NAMES
def test_works_in_a_forked_child(name):
    inputs = small(name)
    assert_survives_a_fork(lambda: forward_and_backward(name, inputs))


class Computed(Dataset):
    """What every kernel computes, one kernel after the other."""

    def __len__(self):
        return len(KERNELS)

    def __getitem__(self, index):
        name = list(KERNELS)[index]
        return [tensor.detach() for tensor in at_threads(2, lambda: forward_and_backward(name, small(name)))]


def test_works_in_the_workers_of_a_data_loader():
    here = list(Computed())
    loader = DataLoader(Computed(), batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=60)
    assert all(same_bits(mine, other) for mine, other in zip(loader, here, strict=True))


def spread(change, tensor):
    """A tensor that lies differently in memory."""
    match change:
        case "transposed":
            return tensor.transpose(0, -1).contiguous().transpose(0, -1)
        case "half of a wider one":
            return torch.cat([tensor, tensor], -1).chunk(2, -1)[1]
        case "every second":
            return tensor.repeat_interleave(2, -1)[..., ::2]
        case _:  # repeated along an axis
            axis = min(int(change), tensor.dim() - 1)
            return tensor.narrow(axis, 0, 1).expand(tensor.shape)


@pytest.mark.parametrize("change", ["transposed", "half of a wider one", "every second", "0", "1", "2"])
@NAMES
def test_any_layout_in_memory_gives_the_same_and_nothing_to_compile(name, change):
    inputs = [spread(change, tensor.detach()) for tensor in KERNELS[name].arguments(3, 9, 20)]
    assert not all(tensor.is_contiguous() for tensor in inputs)
    straight = forward_and_backward(name, leaves([tensor.contiguous().clone() for tensor in inputs]))
    loops = importlib.import_module(f"neurofmx.kernels.cpu.{name}")
    before = len(loops.forward.signatures)
    ours = forward_and_backward(name, leaves(inputs))
    torch.testing.assert_close(ours, straight, rtol=1e-12, atol=1e-12)
    assert len(loops.forward.signatures) == before


@NAMES
def test_only_what_wants_a_gradient_needs_one(name):
    inputs = KERNELS[name].arguments(2, 40, 20)
    whole = forward_and_backward(name, inputs)
    wanted = whole[len(whole) - len(inputs) :]
    for i in range(len(inputs)):
        alone = [tensor.detach().requires_grad_(i == k) for k, tensor in enumerate(inputs)]
        found = gradients(KERNELS[name].run(alone, "numba"), [alone[i]])
        torch.testing.assert_close(found, (wanted[i],), rtol=0, atol=0)


WEIGHINGS = {
    "all the same": lambda out: out.sum(),
    "the same at all steps": lambda out: out.mean(1).sin().sum(),
    "the same in all channels": lambda out: out.mean(-1).sin().sum(),
    "one alone": lambda out: out[:, -1].exp().sum(),
    "channels apart in memory": lambda out: (out.transpose(0, -1) @ torch.ones(out.shape[0], 2).to(out)).sin().sum(),
}


@pytest.mark.parametrize("weigh", WEIGHINGS.values(), ids=WEIGHINGS)
@NAMES
def test_gradients_may_arrive_at_one_output_alone_and_repeat(name, weigh):
    inputs = KERNELS[name].arguments(3, 40, 5)
    outputs = KERNELS[name].run(inputs, "numba"), KERNELS[name].run(inputs, "reference")
    for ours, theirs in zip(*outputs, strict=True):
        found, wanted = (
            torch.autograd.grad(weigh(out), inputs, materialize_grads=True, retain_graph=True) for out in (ours, theirs)
        )
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)


@NAMES
def test_nan_comes_out_where_the_reference_has_it(name):
    for i, tensor in enumerate(KERNELS[name].arguments(9, 6, 20, torch.float32)):
        inputs = [other.detach().clone() for other in KERNELS[name].arguments(9, 6, 20, torch.float32)]
        inputs[i][tuple(size // 2 for size in tensor.shape)] = torch.nan
        ours, wanted = (forward_and_backward(name, leaves(inputs), path) for path in ("numba", "reference"))
        assert any(out.isnan().any() for out in wanted)
        for mine, theirs in zip(ours, wanted, strict=True):
            assert torch.equal(mine.isnan(), theirs.isnan())


@pytest.mark.parametrize("path", ["reference", "numba"])
@NAMES
def test_half_precision_is_widened_and_its_gradients_come_back_as_they_are(name, path):
    half = leaves([tensor.bfloat16() for tensor in KERNELS[name].arguments(2, 5, 3, torch.float32)])
    with torch.autocast("cpu", torch.bfloat16):
        outputs = KERNELS[name].run(half, path)
    assert {out.dtype for out in outputs} == {torch.float32}
    whole = leaves([tensor.float() for tensor in half])
    wanted = forward_and_backward(name, whole, path)
    assert same_bits(outputs, wanted[: len(outputs)])
    found = gradients(outputs, half)
    assert same_bits(found, [gradient.bfloat16() for gradient in wanted[len(outputs) :]])


@NAMES
def test_without_numba_the_path_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, f"neurofmx.kernels.cpu.{name}_op", None)
    inputs = KERNELS[name].arguments()
    with pytest.raises(ImportError, match=r"needs numba.*: run `pip install numba` or choose path='reference'"):
        KERNELS[name].run(inputs, "numba")
