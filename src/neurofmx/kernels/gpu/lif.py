"""The kernels of leaky integrate-and-fire neurons for GPUs, forward and backward.

Symbols: `u` membrane potential, `x` current, `s` spike, `beta` decay, `theta` threshold, `h` 1 for the hard reset and
0 for the soft one, `ds` and `du` gradients that arrive at spikes and potentials, `g` gradient at a potential in all,
`sigma` surrogate derivative of the spikes, as the inverse of a quadratic (see `neurofmx.kernels.surrogate`).

    forward    s[t] = H(u[t] - theta),    u[t] = beta (1 - h s[t-1]) u[t-1] + x[t] - (1 - h) theta s[t-1]
    backward   k[t] = du[t] + sigma(u[t] - theta) ds[t],    g[t] = k[t] + beta (1 - h s[t]) g[t+1]
               dx[t] = g[t],              dbeta = sum_t g[t] (1 - h s[t-1]) u[t-1]
               dtheta = -sum_t sigma(u[t] - theta) ds[t] + (1 - h) s[t-1] g[t]

A program has `LANES` neurons of one sequence, with their potentials in registers from the first step to the last.
Neurons have nothing to do with each other, so nothing is summed between programs. `AHEAD` steps are read from memory
before they are needed. Where a step does not count, the potential is held, and so is what is written of it.
"""

from __future__ import annotations

from neurofmx.kernels.gpu.triton_there import constexpr, kernel, part, tl


@part
def placed(neurons, blocks, LANES: constexpr):
    """The sequence of this program, its neurons (LANES,), and which of them exist."""
    neuron = tl.program_id(0) % blocks * LANES + tl.arange(0, LANES)
    return (tl.program_id(0) // blocks).to(tl.int64), neuron, neuron < neurons


@part
def fires(u, theta):
    """1 where a potential is above the threshold, else 0."""
    return (u > theta).to(u.dtype)


@part
def advanced(u, x, beta, theta, HARD: constexpr):
    """The potentials one step after `u`; rounded as torch rounds them, if launched without fused operations."""
    s = fires(u, theta)
    if HARD:
        after = beta * ((1.0 - s) * u) + x
    else:
        after = beta * u + x - s * theta
    return after


@part
def kept(mask, row, here):
    """Whether a step counts, once for every neuron."""
    return tl.load(mask + row + here * 0) != 0


@kernel
def forward(
    current, potential, beta, theta, mask, spikes, potentials, last, length: int, neurons: int, blocks: int,
    HOLD: constexpr, HARD: constexpr, MASKED: constexpr, LANES: constexpr, AHEAD: constexpr,
):  # fmt: skip
    """Spikes and potentials (batch, length * hold, neurons), and the last potentials (batch, neurons)."""
    batch, neuron, here = placed(neurons, blocks, LANES)
    b, level = tl.load(beta + neuron, mask=here, other=0.0), tl.load(theta + neuron, mask=here, other=0.0)
    u = tl.load(potential + batch * neurons + neuron, mask=here, other=0.0)
    for t in tl.range(0, length * HOLD, num_stages=AHEAD):
        row = batch * length + t // HOLD
        after = advanced(u, tl.load(current + row * neurons + neuron, mask=here, other=0.0), b, level, HARD)
        s = fires(after, level)
        if MASKED:
            counts = kept(mask, row, neuron)
            u = tl.where(counts, after, u)
            s = tl.where(counts, s, 0.0)
        else:
            u = after
        to = (batch * length * HOLD + t) * neurons + neuron
        tl.store(spikes + to, s, mask=here)
        tl.store(potentials + to, u, mask=here)
    tl.store(last + batch * neurons + neuron, u, mask=here)


@part
def sigma(x, a, p, q):
    """The surrogate derivative at a distance from the threshold."""
    x = tl.abs(x)
    return a / (1.0 + x * (p + x * q))


@kernel
def backward(
    potentials, potential, beta, theta, mask, ds, du, dlast, dx, dfirst, dbeta, dtheta, a, p, q,
    length: int, neurons: int, blocks: int,
    HOLD: constexpr, HARD: constexpr, MASKED: constexpr, SPIKES: constexpr, POTENTIALS: constexpr, LAST: constexpr,
    LANES: constexpr, AHEAD: constexpr,
):  # fmt: skip
    """Gradients of currents (batch, length, neurons), first potentials, decays and thresholds (batch, neurons).

    `SPIKES`, `POTENTIALS` and `LAST` say which gradients arrive.
    """
    batch, neuron, here = placed(neurons, blocks, LANES)
    b, level = tl.load(beta + neuron, mask=here, other=0.0), tl.load(theta + neuron, mask=here, other=0.0)
    start, steps = batch * length * HOLD, length * HOLD
    first = tl.load(potential + batch * neurons + neuron, mask=here, other=0.0)
    u = tl.load(potentials + (start + steps - 1) * neurons + neuron, mask=here, other=0.0)
    g, at_current, to_beta, to_theta = tl.zeros_like(u), tl.zeros_like(u), tl.zeros_like(u), tl.zeros_like(u)
    if LAST:
        g = tl.load(dlast + batch * neurons + neuron, mask=here, other=0.0)
    for back in tl.range(0, steps, num_stages=AHEAD):
        t = steps - 1 - back
        at = (start + t) * neurons + neuron
        before = tl.load(potentials + at - neurons, mask=here & (t > 0), other=0.0)
        before = tl.where(t > 0, before, first)
        through = tl.zeros_like(u)
        if SPIKES:
            through = tl.load(ds + at, mask=here, other=0.0) * sigma(u - level, a, p, q)
        counts = here
        if MASKED:
            counts = kept(mask, batch * length + t // HOLD, neuron)
            through = tl.where(counts, through, 0.0)
        if POTENTIALS:
            g += tl.load(du + at, mask=here, other=0.0)
        g += through
        s = fires(before, level)
        stays = g
        if HARD:
            stays = g * (1.0 - s)
        step = tl.where(counts, g, 0.0)
        at_current = tl.where(t % HOLD == HOLD - 1, 0.0, at_current) + step
        to_beta += tl.where(counts, stays * before, 0.0)
        to_theta -= through
        if not HARD:
            to_theta -= s * step
        g = tl.where(counts, b * stays, g)
        u = before
        tl.store(dx + (batch * length + t // HOLD) * neurons + neuron, at_current, mask=here & (t % HOLD == 0))
    to = batch * neurons + neuron
    tl.store(dfirst + to, g, mask=here)
    tl.store(dbeta + to, to_beta, mask=here)
    tl.store(dtheta + to, to_theta, mask=here)
