"""The kernels of spiking neurons of which only a readout per token is kept, for GPUs.

Symbols: those of `neurofmx.kernels.gpu.lif`; `c` trace at a token's end, `w` weight of a step in it, `d` share of a
trace that the next token takes over, `r` gradient at a trace in all.

    forward    c[l] = d c[l-1] + sum_i w[i] s[l, i]
    backward   r[l] = dc[l] + d r[l+1],    ds[l, i] = w[i] r[l],    and on as in `neurofmx.kernels.gpu.lif`

No spike is written to memory. The forward keeps the potential at every token's end, from which the backward makes the
steps of the next token anew; their potentials lie in `trail` (batch, STEPS, neurons), where a thread reads only what it
wrote. Where a token does not count, potential and trace are held, and so is what is written of the potential.
"""

from __future__ import annotations

from neurofmx.kernels.gpu.lif import advanced, fires, kept, placed, sigma
from neurofmx.kernels.gpu.triton_there import constexpr, kernel, tl


@kernel
def forward(
    current, potential, trace, beta, theta, mask, reading, traces, ends, last, last_trace, counts,
    length: int, neurons: int, blocks: int,
    STEPS: constexpr, HARD: constexpr, MASKED: constexpr, LANES: constexpr,
):  # fmt: skip
    """Traces and potentials at tokens' ends, last potential and trace, and the number of spikes.

    `reading` is the share of a trace that the next token takes over, and behind it the weights of a token's steps.
    """
    batch, neuron, here = placed(neurons, blocks, LANES)
    own = batch * neurons + neuron
    b, level = tl.load(beta + neuron, mask=here, other=0.0), tl.load(theta + neuron, mask=here, other=0.0)
    u, c = tl.load(potential + own, mask=here, other=0.0), tl.load(trace + own, mask=here, other=0.0)
    carry, fired = tl.load(reading), tl.zeros_like(u)
    x = tl.load(current + batch * length * neurons + neuron, mask=here, other=0.0)
    for token in range(length):
        row = batch * length + token
        # Asked for one token early, so that it is there when this one is done.
        following = tl.load(current + (row + 1) * neurons + neuron, mask=here & (token + 1 < length), other=0.0)
        after, total, sum_of_weights = u, tl.zeros_like(u), tl.zeros_like(u)
        for i in range(STEPS):
            after = advanced(after, x, b, level, HARD)
            s = fires(after, level)
            sum_of_weights += tl.load(reading + 1 + i) * s
            total += s
        fresh = sum_of_weights + carry * c
        shown = fresh
        if MASKED:
            on = kept(mask, row, neuron)
            u, c = tl.where(on, after, u), tl.where(on, fresh, c)
            shown, total = tl.where(on, fresh, 0.0), tl.where(on, total, 0.0)
        else:
            u = after
            c = fresh
        fired += total
        tl.store(traces + row * neurons + neuron, shown, mask=here)
        tl.store(ends + row * neurons + neuron, u, mask=here)
        x = following
    tl.store(last + own, u, mask=here)
    tl.store(last_trace + own, c, mask=here)
    tl.store(counts + own, fired, mask=here)


@kernel
def backward(
    current, potential, ends, beta, theta, mask, reading, trail, dtraces, dends, dlast, dlast_trace,
    dx, dfirst, dtrace, dbeta, dtheta, a, p, q, length: int, neurons: int, blocks: int,
    STEPS: constexpr, HARD: constexpr, MASKED: constexpr, TRACES: constexpr, ENDS: constexpr,
    LAST: constexpr, LAST_TRACE: constexpr, LANES: constexpr,
):  # fmt: skip
    """Gradients of currents (batch, length, neurons), first potentials and traces, decays and thresholds.

    `TRACES`, `ENDS`, `LAST` and `LAST_TRACE` say which gradients arrive.
    """
    batch, neuron, here = placed(neurons, blocks, LANES)
    own, steps = batch * neurons + neuron, trail + batch * STEPS * neurons + neuron
    b, level = tl.load(beta + neuron, mask=here, other=0.0), tl.load(theta + neuron, mask=here, other=0.0)
    first = tl.load(potential + own, mask=here, other=0.0)
    carry = tl.load(reading)
    g, r, to_beta, to_theta = tl.zeros_like(b), tl.zeros_like(b), tl.zeros_like(b), tl.zeros_like(b)
    if LAST:
        g = tl.load(dlast + own, mask=here, other=0.0)
    if LAST_TRACE:
        r = tl.load(dlast_trace + own, mask=here, other=0.0)
    for back in range(length):
        token = length - 1 - back
        at = (batch * length + token) * neurons + neuron
        on = here
        if MASKED:
            on = kept(mask, batch * length + token, neuron)
        if TRACES:
            r += tl.where(on, tl.load(dtraces + at, mask=here, other=0.0), 0.0)
        if ENDS:
            g += tl.load(dends + at, mask=here, other=0.0)
        start = tl.load(ends + at - neurons, mask=here & (token > 0), other=0.0)
        start = tl.where(token > 0, start, first)
        x, u = tl.load(current + at, mask=here, other=0.0), start
        for i in range(STEPS):
            u = advanced(u, x, b, level, HARD)
            tl.store(steps + i * neurons, u, mask=here)
        tl.debug_barrier()
        at_end, to_current, into_beta, into_theta = g, tl.zeros_like(b), tl.zeros_like(b), tl.zeros_like(b)
        for i in range(STEPS):
            step = STEPS - 1 - i
            before = tl.load(steps + (step - 1) * neurons, mask=here & (step > 0), other=0.0)
            before = tl.where(step > 0, before, start)
            through = tl.load(reading + 1 + step) * r * sigma(u - level, a, p, q)
            at_end += through
            to_current += at_end
            s = fires(before, level)
            into_theta -= through
            if HARD:
                at_end *= 1.0 - s
            else:
                into_theta -= s * at_end
            into_beta += at_end * before
            at_end *= b
            u = before
        tl.debug_barrier()
        g = tl.where(on, at_end, g)
        to_beta += tl.where(on, into_beta, 0.0)
        to_theta += tl.where(on, into_theta, 0.0)
        r = tl.where(on, carry * r, r)
        tl.store(dx + at, tl.where(on, to_current, 0.0), mask=here)
    tl.store(dfirst + own, g, mask=here)
    tl.store(dtrace + own, r, mask=here)
    tl.store(dbeta + own, to_beta, mask=here)
    tl.store(dtheta + own, to_theta, mask=here)
