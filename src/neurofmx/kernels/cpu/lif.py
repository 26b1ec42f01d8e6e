"""The compiled loops of leaky integrate-and-fire neurons, forward and backward.

Symbols: those of `neurofmx.kernels.lif`; `ds` and `du` gradients that arrive at spikes and potentials, `g` gradient at
a potential in all, `k` what arrives through the spike, `sigma` surrogate derivative as the inverse of a quadratic (see
`neurofmx.kernels.surrogate`), `kept` 1, or 1 - s with the hard reset.

    k[t] = sigma(u[t] - theta) ds[t],    g[t] = du[t] + k[t] + beta kept[t] g[t+1],    dx[t] = g[t]
    dbeta = sum_t g[t] kept[t-1] u[t-1],    dtheta = -sum_t (k[t] + s[t-1] g[t]), with the hard reset -sum_t k[t]

A job is a block of neurons of one sequence; neurons lie in the lanes of the processor, and nothing is ever summed over
them, so neither threads nor blocks change a bit. Arrays are flat and places in them unsigned: a signed place may count
from the end, and LLVM vectorises no loop with that choice inside. What belongs to a neuron for the whole time lies in
rows of one scratch array, as LLVM checks at every step that arrays which are written overlap no other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd.prefetch import prefetch_to_read, prefetch_to_write
from neurofmx.kernels.cpu.simd.tiles import space

BLOCK = 256  # neurons of a job at most: their rows stay in the nearest cache
AHEAD = 3  # steps that the memory is asked for beforehand

u64 = np.uint64
U, BETA, THETA, G, DBETA, DTHETA, ROWS = (u64(BLOCK * row) for row in range(7))  # places in the scratch array

# The forward rounds after every operation, as torch does, or spikes near the threshold would differ: no fastmath.
EXACT: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
FUSED: dict[str, Any] = {**EXACT, "fastmath": {"contract"}}


@njit(forceinline=True, **EXACT)
def load(z, row, source, at, width):
    """Copies numbers of an array into a row of the scratch array."""
    for n in range(width):
        z[row + n] = source[at + n]


@njit(forceinline=True, **EXACT)
def save(z, row, to, at, width):
    """Copies a row of the scratch array into an array."""
    for n in range(width):
        to[at + n] = z[row + n]


@njit(forceinline=True, **EXACT)
def fill(to, at, width, number):
    """Sets a stretch of an array to one number."""
    for n in range(width):
        to[at + n] = number


@njit(forceinline=True, **EXACT)
def load_neurons(z, lane, beta, theta, at, width):
    """Decay and threshold of every neuron."""
    load(z, BETA + lane, beta, at, width)
    load(z, THETA + lane, theta, at, width)


@njit(forceinline=True, **EXACT)
def after(u, x, beta, theta, hard, one):
    """The potential of a neuron one step after `u`."""
    s = one if u > theta else one - one
    if hard:
        return beta * ((one - s) * u) + x
    return beta * u + x - s * theta


@njit(forceinline=True, **EXACT)
def _advance(z, x, i, hard, spikes, potentials, o, width):
    """One step of a block of neurons."""
    one = x.dtype.type(1)
    for n in range(width):
        theta = z[THETA + n]
        u = after(z[n], x[i + n], z[BETA + n], theta, hard, one)
        z[n] = u
        potentials[o + n] = u
        spikes[o + n] = one if u > theta else one - one


@njit(forceinline=True, **FUSED)
def sigma(x, a, p, q, one):
    """The surrogate derivative at a distance from the threshold."""
    x = abs(x)
    return a / (one + x * (p + x * q))


@njit(forceinline=True, **FUSED)
def _retreat(z, u, i, now, o, ds, j, du, k, hard, bump, dx, d, width):
    """One step back: takes the gradient from the potentials after a step, `now`, to those before it, `u`."""
    a, p, q, one = bump
    for n in range(width):
        before, theta = u[i + n], z[THETA + n]
        through = ds[j + n] * sigma(now[o + n] - theta, a, p, q, one)
        g = z[G + n] + (du[k + n] + through)
        s = one if before > theta else one - one
        dx[d + n] += g
        if hard:
            z[DTHETA + n] -= through
            z[DBETA + n] += g * ((one - s) * before)
            z[G + n] = z[BETA + n] * ((one - s) * g)
        else:
            z[DTHETA + n] -= through + s * g
            z[DBETA + n] += g * before
            z[G + n] = z[BETA + n] * g


@njit(cache=True, **EXACT)
def forward(first, last, block, shape, current, potential, beta, theta, mask, hard, spikes, potentials, final):
    """Runs jobs `first` to `last` through the whole sequence.

    Args:
        first: First job.
        last: Job to stop before.
        block: Neurons of a job.
        shape: Number of currents, steps each is held, neurons.
        current: (batch, length, neurons), flat like all that follow.
        potential: (batch, neurons).
        beta: (neurons,).
        theta: (neurons,).
        mask: (batch, length), or empty where every current counts.
        hard: Whether the reset is the hard one.
        spikes: (batch, length * hold, neurons), written.
        potentials: The same.
        final: (batch, neurons), written.
    """
    length, hold, neurons = shape
    blocks = -(-neurons // block)
    zero = theta.dtype.type(0)
    z = space(3 * BLOCK, theta)
    for job in range(first, last):
        b, lo = job // blocks, job % blocks * block
        width = u64(min(block, neurons - lo))
        load(z, U, potential, u64(b * neurons + lo), width)
        load_neurons(z, U, beta, theta, u64(lo), width)
        for token in range(b * length, (b + 1) * length):
            for t in range(token * hold, (token + 1) * hold):
                i, o = u64(token * neurons + lo), u64(t * neurons + lo)
                prefetch_to_read(current, u64((token + AHEAD // hold) * neurons + lo), width)
                prefetch_to_write(spikes, u64((t + AHEAD) * neurons + lo), width)
                prefetch_to_write(potentials, u64((t + AHEAD) * neurons + lo), width)
                if mask.size == 0 or mask[token]:
                    _advance(z, current, i, hard, spikes, potentials, o, width)
                else:
                    fill(spikes, o, width, zero)
                    fill(potentials, o, width, zero)
        save(z, U, final, u64(b * neurons + lo), width)


@njit(cache=True, **FUSED)
def backward(
    first, last, block, shape, potentials, potential, beta, theta, mask, hard, bump, ds, du, g, dbeta, dtheta, dx
):
    """Takes jobs `first` to `last` back through the sequence.

    Args:
        first: First job.
        last: Job to stop before.
        block: Neurons of a job.
        shape: Number of currents, steps each is held, neurons.
        potentials: (batch, length * hold, neurons) as the forward wrote them, flat like all that follow.
        potential: (batch, neurons).
        beta: (neurons,).
        theta: (neurons,).
        mask: (batch, length), or empty where every current counts.
        hard: Whether the reset is the hard one.
        bump: The numbers `a`, `p`, `q` of the surrogate, and 1.
        ds: Gradient of the spikes, and the steps in it from sequence to sequence and from step to step.
        du: Gradient of the potentials, likewise.
        g: Gradient of the last potentials (batch, neurons); replaced by that of the first ones.
        dbeta: (batch, neurons), written.
        dtheta: (batch, neurons), written.
        dx: (batch, length, neurons), written.
    """
    length, hold, neurons = shape
    blocks, steps = -(-neurons // block), length * hold
    zero = theta.dtype.type(0)
    z = space(6 * BLOCK, theta)
    for job in range(first, last):
        b, lo = job // blocks, job % blocks * block
        at, width = u64(b * neurons + lo), u64(min(block, neurons - lo))
        load_neurons(z, U, beta, theta, u64(lo), width)
        load(z, G, g, at, width)
        fill(z, DBETA, width, zero)
        fill(z, DTHETA, width, zero)
        for t in range(steps - 1, -1, -1):
            token, ahead = b * length + t // hold, t - AHEAD
            o, d = u64((b * steps + t) * neurons + lo), u64(token * neurons + lo)
            prefetch_to_read(potentials, u64((b * steps + ahead) * neurons + lo), width)
            prefetch_to_read(ds[0], u64(b * ds[1] + ahead * ds[2] + lo), width)
            prefetch_to_read(du[0], u64(b * du[1] + ahead * du[2] + lo), width)
            prefetch_to_write(dx, u64((b * length + ahead // hold) * neurons + lo), width)
            if t % hold == hold - 1:
                fill(dx, d, width, zero)
            if mask.size > 0 and not mask[token]:
                continue
            before = t - 1  # a step back, or as many as were masked
            while before >= 0 and mask.size > 0 and not mask[b * length + before // hold]:
                before -= 1
            j, k = u64(b * ds[1] + t * ds[2] + lo), u64(b * du[1] + t * du[2] + lo)
            if before < 0:
                _retreat(z, potential, at, potentials, o, ds[0], j, du[0], k, hard, bump, dx, d, width)
            else:
                i = u64((b * steps + before) * neurons + lo)
                _retreat(z, potentials, i, potentials, o, ds[0], j, du[0], k, hard, bump, dx, d, width)
        save(z, G, g, at, width)
        save(z, DBETA, dbeta, at, width)
        save(z, DTHETA, dtheta, at, width)
