"""The compiled loops of spiking neurons of which only a readout per token is kept, forward and backward.

Symbols: those of `neurofmx.kernels.cpu.lif`; `c` trace at a token's end, `w` weight of a step in it, `d` share of a
trace that the next token takes over, `q` gradient at a trace in all.

    forward    c[l] = d c[l-1] + sum_i w[i] s[l, i]
    backward   q[l] = dc[l] + d q[l+1],    ds[l, i] = w[i] q[l],    and on as in `neurofmx.kernels.cpu.lif`

No spike is written to memory. The forward keeps the potential at every token's end; the backward makes the steps of a
token anew from the end of the one before. A job is a block of neurons of one sequence, or of several where there are
few neurons: then their rows stand one behind the other in the scratch array, so that a step fills the lanes.
"""

from __future__ import annotations

from neurofmx.kernels.cpu import lif
from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.lif import (
    BETA,
    DBETA,
    DTHETA,
    EXACT,
    FUSED,
    ROWS,
    THETA,
    G,
    U,
    after,
    fill,
    load,
    load_neurons,
    save,
    sigma,
    u64,
)
from neurofmx.kernels.cpu.simd.tiles import space

BLOCK = u64(lif.BLOCK)
X, TRACE, SUM, COUNT = (ROWS + BLOCK * u64(row) for row in range(4))
Q, DX, TRAIL = TRACE, SUM, COUNT  # what the backward needs in their place; the trail has a row for every step


@njit(forceinline=True, **EXACT)
def _gather(z, row, source, at, group):
    """Copies neurons of several sequences into one row of the scratch array; `group` says how they lie."""
    several, width, apart = group
    for r in range(several):
        load(z, row + r * width, source, at + r * apart, width)


@njit(forceinline=True, **EXACT)
def _scatter(z, row, to, at, group):
    """The reverse of `_gather`."""
    several, width, apart = group
    for r in range(several):
        save(z, row + r * width, to, at + r * apart, width)


@njit(forceinline=True, **EXACT)
def _advance(z, weight, hard, lanes):
    """One step of a block, whose spikes are added up."""
    one = z.dtype.type(1)
    for n in range(lanes):
        theta = z[THETA + n]
        u = after(z[n], z[X + n], z[BETA + n], theta, hard, one)
        s = one if u > theta else one - one
        z[n] = u
        z[SUM + n] += weight * s
        z[COUNT + n] += s


@njit(forceinline=True, **EXACT)
def _follow(z, row, hard, lanes):
    """The same step again: the next row of the trail."""
    one = z.dtype.type(1)
    for n in range(lanes):
        z[row + BLOCK + n] = after(z[row + n], z[X + n], z[BETA + n], z[THETA + n], hard, one)


@njit(forceinline=True, **FUSED)
def _retreat(z, row, weight, hard, bump, lanes):
    """One step back: takes the gradient from the row behind to the row given."""
    a, p, q, one = bump
    for n in range(lanes):
        u, theta = z[row + n], z[THETA + n]
        through = weight * z[Q + n] * sigma(z[row + BLOCK + n] - theta, a, p, q, one)
        g = z[G + n] + through
        s = one if u > theta else one - one
        z[DX + n] += g
        if hard:
            z[DTHETA + n] -= through
            z[DBETA + n] += g * ((one - s) * u)
            z[G + n] = z[BETA + n] * ((one - s) * g)
        else:
            z[DTHETA + n] -= through + s * g
            z[DBETA + n] += g * u
            z[G + n] = z[BETA + n] * g


@njit(forceinline=True, **EXACT)
def _blend(z, row, share, with_row, lanes):
    """Scales a row and adds another."""
    for n in range(lanes):
        z[row + n] = share * z[row + n] + z[with_row + n]


@njit(forceinline=True, **EXACT)
def _add(z, row, source, at, by_sequence, group):
    """Adds neurons of several sequences to a row."""
    several, width, _ = group
    for r in range(several):
        for n in range(width):
            z[row + r * width + n] += source[at + r * by_sequence + n]


@njit(cache=True, **EXACT)
def forward(
    first, last, cut, shape, current, potential, trace, beta, theta, mask, weights, carry, hard,
    traces, ends, final, final_trace, counts,
):  # fmt: skip
    """Runs jobs `first` to `last` through the whole sequence.

    Args:
        first: First job.
        last: Job to stop before.
        cut: Sequences and neurons of a job.
        shape: Batch, number of tokens, neurons.
        current: (batch, length, neurons), flat like all that follow.
        potential: (batch, neurons).
        trace: (batch, neurons).
        beta: (neurons,).
        theta: (neurons,).
        mask: (batch, length), or empty where every token counts; then a job has one sequence.
        weights: Of the steps of a token (steps,).
        carry: Share of a trace that the next token takes over.
        hard: Whether the reset is the hard one.
        traces: (batch, length, neurons), written.
        ends: The same, potentials.
        final: (batch, neurons), written.
        final_trace: (batch, neurons), written.
        counts: Spikes of every neuron (batch, neurons), written.
    """
    batch, length, neurons = shape
    blocks, zero = -(-neurons // cut[1]), theta.dtype.type(0)
    z = space(10 * lif.BLOCK, theta)
    for job in range(first, last):
        b, lo = job // blocks * cut[0], job % blocks * cut[1]
        several, width, at = u64(min(cut[0], batch - b)), u64(min(cut[1], neurons - lo)), u64(b * neurons + lo)
        states, tokens, lanes = (several, width, u64(neurons)), (several, width, u64(length * neurons)), several * width
        for r in range(several):
            load_neurons(z, r * width, beta, theta, u64(lo), width)
        _gather(z, U, potential, at, states)
        _gather(z, TRACE, trace, at, states)
        fill(z, COUNT, lanes, zero)
        for token in range(length):
            o = u64((b * length + token) * neurons + lo)
            if mask.size > 0 and not mask[b * length + token]:
                fill(traces, o, width, zero)
                fill(ends, o, width, zero)
                continue
            _gather(z, X, current, o, tokens)
            fill(z, SUM, lanes, zero)
            for weight in weights:
                _advance(z, weight, hard, lanes)
            _blend(z, TRACE, carry, SUM, lanes)
            _scatter(z, TRACE, traces, o, tokens)
            _scatter(z, U, ends, o, tokens)
        _scatter(z, U, final, at, states)
        _scatter(z, TRACE, final_trace, at, states)
        _scatter(z, COUNT, counts, at, states)


@njit(cache=True, **FUSED)
def backward(
    first, last, cut, shape, current, potential, ends, beta, theta, mask, weights, carry, hard, bump,
    dtraces, dends, g, q, dbeta, dtheta, dx,
):  # fmt: skip
    """Takes jobs `first` to `last` back through the sequence.

    Args:
        first: First job.
        last: Job to stop before.
        cut: Sequences and neurons of a job.
        shape: Batch, number of tokens, neurons.
        current: (batch, length, neurons), flat like all that follow.
        potential: (batch, neurons).
        ends: (batch, length, neurons) as the forward wrote them.
        beta: (neurons,).
        theta: (neurons,).
        mask: (batch, length), or empty where every token counts; then a job has one sequence.
        weights: Of the steps of a token (steps,).
        carry: Share of a trace that the next token takes over.
        hard: Whether the reset is the hard one.
        bump: The numbers `a`, `p`, `q` of the surrogate, and 1.
        dtraces: Gradient of the traces, and the steps in it from sequence to sequence and from token to token.
        dends: Gradient of the potentials at the ends, likewise.
        g: Gradient of the last potentials (batch, neurons); replaced by that of the first ones.
        q: Gradient of the last traces (batch, neurons); replaced by that of the first ones.
        dbeta: (batch, neurons), written.
        dtheta: (batch, neurons), written.
        dx: (batch, length, neurons), written.
    """
    batch, length, neurons = shape
    blocks, zero = -(-neurons // cut[1]), theta.dtype.type(0)
    z = space((10 + weights.size) * lif.BLOCK, theta)
    for job in range(first, last):
        b, lo = job // blocks * cut[0], job % blocks * cut[1]
        several, width, at = u64(min(cut[0], batch - b)), u64(min(cut[1], neurons - lo)), u64(b * neurons + lo)
        states, tokens, lanes = (several, width, u64(neurons)), (several, width, u64(length * neurons)), several * width
        for r in range(several):
            load_neurons(z, r * width, beta, theta, u64(lo), width)
        _gather(z, G, g, at, states)
        _gather(z, Q, q, at, states)
        fill(z, DBETA, lanes, zero)
        fill(z, DTHETA, lanes, zero)
        for token in range(length - 1, -1, -1):
            o = u64((b * length + token) * neurons + lo)
            if mask.size > 0 and not mask[b * length + token]:
                fill(dx, o, width, zero)
                continue
            before = token - 1  # a token back, or as many as were masked
            while before >= 0 and mask.size > 0 and not mask[b * length + before]:
                before -= 1
            if before < 0:
                _gather(z, TRAIL, potential, at, states)
            else:
                _gather(z, TRAIL, ends, u64((b * length + before) * neurons + lo), tokens)
            _gather(z, X, current, o, tokens)
            for i in range(weights.size):
                _follow(z, TRAIL + u64(i) * BLOCK, hard, lanes)
            _add(z, Q, dtraces[0], u64(b * dtraces[1] + token * dtraces[2] + lo), u64(dtraces[1]), tokens)
            _add(z, G, dends[0], u64(b * dends[1] + token * dends[2] + lo), u64(dends[1]), tokens)
            fill(z, DX, lanes, zero)
            for i in range(weights.size - 1, -1, -1):
                _retreat(z, TRAIL + u64(i) * BLOCK, weights[i], hard, bump, lanes)
            _scatter(z, DX, dx, o, tokens)
            for n in range(lanes):
                z[Q + n] *= carry
        _scatter(z, G, g, at, states)
        _scatter(z, Q, q, at, states)
        _scatter(z, DBETA, dbeta, at, states)
        _scatter(z, DTHETA, dtheta, at, states)
