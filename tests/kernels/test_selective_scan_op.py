"""The operators of the compiled scan: torch's own checks and tracing."""

from __future__ import annotations

import pytest
import torch
from tests.kernels.test_selective_scan import arguments, run
from tests.reference import gradients

from neurofmx.kernels.cpu.selective_scan_op import selective_scan_backward_op, selective_scan_op


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bare", [False, True])
def test_operators_pass_the_checks_of_torch(dtype, bare):
    u, dt, A, B, C, D, state, gate = arguments(length=40, dtype=dtype)
    dt, state, gate, mask = (
        (dt.detach().exp().requires_grad_(), None, None, None) if bare else (dt, state, gate, torch.rand(2, 40) < 0.8)
    )
    torch.library.opcheck(selective_scan_op, (u, dt, A, B, C, D, gate, state, mask, not bare, True))
    detached = [None if x is None else x.detach() for x in (u, dt, A, B, C, D, gate, state, mask)]
    y, end, marks = selective_scan_op(*detached, not bare, True)
    torch.library.opcheck(selective_scan_backward_op, (y, end, marks, *detached, not bare))


def test_compiling_changes_nothing():
    inputs = arguments(length=40, inner=20, dtype=torch.float32)
    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    ours = compiled(inputs, "auto")
    plain = run(inputs, "auto")
    torch.testing.assert_close(ours, plain, rtol=0, atol=0)
    torch.testing.assert_close(gradients(ours, inputs), gradients(plain, inputs), rtol=0, atol=0)


def test_a_channel_that_forgets_at_once_changes_no_other():
    inputs = [tensor.detach() for tensor in arguments(length=40, inner=20, dtype=torch.float32)]
    before = run(inputs, "numba")
    inputs[2][7] = -1e4  # its decays are 0 in float32, which other code computes
    y, last = run(inputs, "numba")
    others = [c for c in range(20) if c != 7]
    assert torch.equal(y[..., others], before[0][..., others])
    assert torch.equal(last[:, others], before[1][:, others])
