"""The compiled loops of neurons with a synaptic current and an adaptive threshold, forward and backward.

Symbols: those of `neurofmx.kernels.alif`; `ds` and `du` gradients that arrive at spikes and potentials, `gu`, `gi`,
`ga`, `gs` and `gt` gradients in all at a potential, current, adaptation, spike and threshold, `sigma` surrogate
derivative as the inverse of a quadratic (see `neurofmx.kernels.surrogate`), `kept` 1, or 1 - s with the hard reset.

    gs[t] = ds[t] + (1 - rho) ga[t+1]
    k[t]  = sigma(u[t] - theta[t]) gs[t]
    gu[t] = du[t] + k[t] + beta kept[t] gu[t+1]
    gt[t] = -k[t] - s[t] gu[t+1], with the hard reset -k[t]
    ga[t] = rho ga[t+1] + kappa gt[t]
    gi[t] = gu[t] + alpha gi[t+1],    dx[t] = gi[t]
    dbeta  = sum_t gu[t] kept[t-1] u[t-1],    dtheta = sum_t gt[t],    dkappa = sum_t gt[t] a[t]
    dalpha = sum_t gi[t] i[t-1],    drho = sum_t ga[t] (a[t-1] - s[t-1])

The state before the first step has a spike too, which is read from it: its `k`, `gt` and `ga` are the last to be taken.
Jobs, lanes and places are those of `neurofmx.kernels.cpu.lif`.
"""

from __future__ import annotations

from neurofmx.kernels.cpu import lif
from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.lif import EXACT, FUSED, fill, load, save, sigma, u64
from neurofmx.kernels.cpu.simd.tiles import space

BLOCK = lif.BLOCK
ROW = u64(BLOCK)
# places in the scratch array: the numbers of the neurons, their state, and what runs back
BETA, THETA, ALPHA, RHO, KAPPA, U, SYN, A, GU, GI, GA, GS, GT, DBETA, DTHETA, DALPHA, DRHO, DKAPPA = (
    u64(BLOCK * row) for row in range(18)
)


@njit(forceinline=True, **EXACT)
def _load_numbers(z, numbers, lo, width):
    """Decays, threshold and its rise of every neuron."""
    for row in range(5):
        load(z, ROW * u64(row), numbers[row], lo, width)


@njit(forceinline=True, **EXACT)
def _advance(z, x, at, hard, spikes, potentials, synaptics, adaptations, o, width):
    """One step of a block of neurons, which rounds after every operation as torch does."""
    one = x.dtype.type(1)
    for n in range(width):
        u, a, rho = z[U + n], z[A + n], z[RHO + n]
        theta = z[THETA + n] + z[KAPPA + n] * a
        s = one if u > theta else one - one
        i = z[ALPHA + n] * z[SYN + n] + x[at + n]
        u = z[BETA + n] * ((one - s) * u) + i if hard else z[BETA + n] * u + i - s * theta
        a = rho * a + (one - rho) * s
        z[U + n], z[SYN + n], z[A + n] = u, i, a
        spikes[o + n] = one if u > z[THETA + n] + z[KAPPA + n] * a else one - one
        potentials[o + n], synaptics[o + n], adaptations[o + n] = u, i, a


@njit(forceinline=True, **FUSED)
def _collect(z, u, a, through, theta, bump, n):
    """Gradients at a spike, its threshold and its adaptation, once all that comes from later steps is known."""
    p1, p2, p3, one = bump
    k = (through + z[GS + n]) * sigma(u - theta, p1, p2, p3, one)
    gt = z[GT + n] - k
    z[DTHETA + n] += gt
    z[DKAPPA + n] += gt * a
    z[GU + n] += k
    z[GA + n] += z[KAPPA + n] * gt


@njit(forceinline=True, **FUSED)
def _retreat(z, now, o, ds, j, du, k, hard, bump, dx, d, width):
    """One step back: takes the gradients from the state after a step, `now`, to the one before it, a row each."""
    one = bump[3]
    for n in range(width):
        a = now[2][o + n]
        z[GU + n] += du[k + n]
        _collect(z, now[0][o + n], a, ds[j + n], z[THETA + n] + z[KAPPA + n] * a, bump, n)
        gu, ga, rho = z[GU + n], z[GA + n], z[RHO + n]
        gi = z[GI + n] + gu
        dx[d + n] += gi
        u, i, a = z[U + n], z[SYN + n], z[A + n]
        s = one if u > z[THETA + n] + z[KAPPA + n] * a else one - one
        kept = one - s if hard else one
        z[DBETA + n] += gu * (kept * u)
        z[DALPHA + n] += gi * i
        z[DRHO + n] += ga * (a - s)
        z[GU + n] = z[BETA + n] * (kept * gu)
        z[GI + n] = z[ALPHA + n] * gi
        z[GA + n] = rho * ga
        z[GS + n] = (one - rho) * ga
        z[GT + n] = one - one if hard else -s * gu


@njit(cache=True, **EXACT)
def forward(
    first, last, block, shape, current, state, numbers, mask, hard, spikes, potentials, synaptics, adaptations, final
):
    """Runs jobs `first` to `last` through the whole sequence.

    Args:
        first: First job.
        last: Job to stop before.
        block: Neurons of a job.
        shape: Number of currents, steps each is held, neurons.
        current: (batch, length, neurons), flat like all that follow.
        state: Potentials, synaptic currents and adaptations, each (batch, neurons).
        numbers: Decay, threshold, alpha, rho and kappa, each (neurons,).
        mask: (batch, length), or empty where every current counts.
        hard: Whether the reset is the hard one.
        spikes: (batch, length * hold, neurons), written.
        potentials: The same.
        synaptics: The same.
        adaptations: The same.
        final: As `state`, written.
    """
    length, hold, neurons = shape
    blocks, zero = -(-neurons // block), current.dtype.type(0)
    z = space(8 * BLOCK, current)
    for job in range(first, last):
        b, lo = job // blocks, job % blocks * block
        at, width = u64(b * neurons + lo), u64(min(block, neurons - lo))
        _load_numbers(z, numbers, u64(lo), width)
        for row in range(3):
            load(z, U + ROW * u64(row), state[row], at, width)
        for t in range(b * length * hold, (b + 1) * length * hold):
            token, o = t // hold, u64(t * neurons + lo)
            if mask.size == 0 or mask[token]:
                place = u64(token * neurons + lo)
                _advance(z, current, place, hard, spikes, potentials, synaptics, adaptations, o, width)
            else:
                for out in (spikes, potentials, synaptics, adaptations):
                    fill(out, o, width, zero)
        for row in range(3):
            save(z, U + ROW * u64(row), final[row], at, width)


@njit(cache=True, **FUSED)
def backward(first, last, block, shape, trajectory, state, numbers, mask, hard, bump, ds, du, g, found, dx):
    """Takes jobs `first` to `last` back through the sequence.

    Args:
        first: First job.
        last: Job to stop before.
        block: Neurons of a job.
        shape: Number of currents, steps each is held, neurons.
        trajectory: Potentials, synaptic currents and adaptations as the forward wrote them, flat like all that follow.
        state: The same before the first step, each (batch, neurons).
        numbers: Decay, threshold, alpha, rho and kappa, each (neurons,).
        mask: (batch, length), or empty where every current counts.
        hard: Whether the reset is the hard one.
        bump: The numbers `a`, `p`, `q` of the surrogate, and 1.
        ds: Gradient of the spikes, and the steps in it from sequence to sequence and from step to step.
        du: Gradient of the potentials, likewise.
        g: Gradients of the last state, each (batch, neurons); replaced by those of the first one.
        found: Gradients of the numbers in their order, each (batch, neurons), written.
        dx: (batch, length, neurons), written.
    """
    length, hold, neurons = shape
    blocks, steps, zero = -(-neurons // block), length * hold, dx.dtype.type(0)
    z = space(18 * BLOCK, dx)
    for job in range(first, last):
        b, lo = job // blocks, job % blocks * block
        at, width = u64(b * neurons + lo), u64(min(block, neurons - lo))
        _load_numbers(z, numbers, u64(lo), width)
        for row in range(3):
            load(z, GU + ROW * u64(row), g[row], at, width)
        for row in range(7):
            fill(z, GS + ROW * u64(row), width, zero)
        for t in range(steps - 1, -1, -1):
            token = b * length + t // hold
            o, d = u64((b * steps + t) * neurons + lo), u64(token * neurons + lo)
            if t % hold == hold - 1:
                fill(dx, d, width, zero)
            if mask.size > 0 and not mask[token]:
                continue
            before = t - 1  # a step back, or as many as were masked
            while before >= 0 and mask.size > 0 and not mask[b * length + before // hold]:
                before -= 1
            j, k = u64(b * ds[1] + t * ds[2] + lo), u64(b * du[1] + t * du[2] + lo)
            i = u64((b * steps + max(before, 0)) * neurons + lo)
            for row in range(3):
                source, place = (state[row], at) if before < 0 else (trajectory[row], i)
                load(z, U + ROW * u64(row), source, place, width)
            _retreat(z, trajectory, o, ds[0], j, du[0], k, hard, bump, dx, d, width)
        for row in range(3):
            load(z, U + ROW * u64(row), state[row], at, width)
        for n in range(width):  # the spike that the first state holds
            a = z[A + n]
            _collect(z, z[U + n], a, zero, z[THETA + n] + z[KAPPA + n] * a, bump, n)
        for row in range(3):
            save(z, GU + ROW * u64(row), g[row], at, width)
        for row in range(5):
            save(z, DBETA + ROW * u64(row), found[row], at, width)
