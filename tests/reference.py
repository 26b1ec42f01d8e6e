"""Naive versions of the kernels, written straight from their equations, to hold the real ones against.

They differ from `neurofmx.kernels` on purpose: one step at a time by indexing, separate matrices, scalar loops, and
surrogate gradients by autograd through a smooth function instead of by a written-down derivative.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.stats import poisson
from torch import Tensor

PRIMITIVES = {
    "fast_sigmoid": lambda x, k: x / (1 + k * x.abs()),
    "atan": lambda x, k: torch.atan(math.pi / 2 * k * x) / math.pi,
    "straight_through": lambda x, k: x,
    "sigmoid": lambda x, k: 1 / (1 + torch.exp(-k * x)),
    "triangular": lambda x, k: x.clamp(-1 / k, 1 / k) - k / 2 * x.clamp(-1 / k, 1 / k) * x.clamp(-1 / k, 1 / k).abs(),
    "gaussian": lambda x, k: torch.erf(k * x / math.sqrt(2)) / 2,
}


def spike_naive(x: Tensor, surrogate: str, slope: float) -> Tensor:
    """A step whose gradient is that of the smooth function with the surrogate's derivative."""
    smooth = PRIMITIVES[surrogate](x, slope)
    return (x > 0).to(x.dtype) + (smooth - smooth.detach())


def lif_naive(current, potential, beta, threshold, reset, surrogate, slope):
    """Leaky integrate-and-fire with the spike fired at its own step, and read again at the next."""
    spikes, potentials = torch.zeros_like(current), torch.zeros_like(current)
    u = potential
    for t in range(current.shape[1]):
        fired = (u.detach() - threshold.detach() > 0).to(u.dtype)
        if reset == "subtract":
            u = beta * u - threshold * fired + current[:, t]
        else:
            u = torch.where(fired > 0, current[:, t], beta * u + current[:, t])
        potentials = torch.cat([potentials[:, :t], u[:, None], potentials[:, t + 1 :]], 1)
        s = spike_naive(u - threshold, surrogate, slope)
        spikes = torch.cat([spikes[:, :t], s[:, None], spikes[:, t + 1 :]], 1)
    return spikes, potentials, u


def alif_naive(current, potential, synaptic, adaptation, beta, threshold, alpha, rho, kappa, reset, surrogate, slope):
    """Adaptive neurons with every quantity in a list over all of time, the state before the first step included."""
    u, i, a = [potential], [synaptic], [adaptation]
    theta = [threshold + kappa * adaptation]
    s = [spike_naive(u[0] - theta[0], surrogate, slope)]
    for x in current.unbind(1):
        fired = s[-1].detach() > 0.5
        i.append(i[-1] * alpha + x)
        if reset == "subtract":
            u.append(u[-1] * beta + i[-1] - torch.where(fired, theta[-1], 0))
        else:
            u.append(torch.where(fired, 0, u[-1] * beta) + i[-1])
        a.append(a[-1] * rho + s[-1] * (1 - rho))
        theta.append(threshold + kappa * a[-1])
        s.append(spike_naive(u[-1] - theta[-1], surrogate, slope))
    return torch.stack(s[1:], 1), torch.stack(u[1:], 1), u[-1], i[-1], a[-1]


def cfc_naive(x, state, backbone_weight, backbone_bias, gates_weight, gates_bias, elapsed):
    """The closed-form cell with every matrix apart and the published form of the interpolation."""
    units = state.shape[1]
    W = [gates_weight[i * units : (i + 1) * units] for i in range(4)]
    w = [gates_bias[i * units : (i + 1) * units] for i in range(4)]
    outputs = []
    for t in range(x.shape[1]):
        joined = torch.cat([x[:, t], state], 1)
        z = 1.7159 * torch.tanh(0.666 * (joined @ backbone_weight.T + backbone_bias))
        f, g = torch.tanh(z @ W[0].T + w[0]), torch.tanh(z @ W[1].T + w[1])
        a, b = z @ W[2].T + w[2], z @ W[3].T + w[3]
        sigma = torch.sigmoid(a * elapsed[:, t] + b)
        state = f * (1 - sigma) + g * sigma
        outputs.append(state)
    return torch.stack(outputs, 1), state


def wired_cfc_naive(x, state, weight, bias, *more, gated=True):
    """A layer of a wired closed-form cell; with idle rate and end before the elapsed time, the pure form."""
    units, elapsed = state.shape[1], more[-1]
    outputs = []
    for t in range(x.shape[1]):
        gates = torch.cat([x[:, t], state], 1) @ weight.T + bias
        if len(more) == 3:
            w, A, _ = more
            state = -A * torch.exp(-elapsed[:, t] * (w.abs() + gates.abs())) * gates + A
        else:
            f, g, a, b = (gates[:, i * units : (i + 1) * units] for i in range(4))
            sigma = torch.sigmoid(a * elapsed[:, t] + b)
            state = torch.tanh(f) * (1 - sigma if gated else 1) + torch.tanh(g) * sigma
        outputs.append(state)
    return torch.stack(outputs, 1), state


def ltc_naive(x, state, capacitance, leak, rest, recurrent, sensory, elapsed, unfolds):
    """The liquid time-constant cell neuron by neuron; synapses are (weight, midpoint, steepness, reversal)."""

    def flow(sources, synapses, j):
        w, mu, sigma, erev = (parameter[:, j] for parameter in synapses)
        opened = [w[i] / (1 + torch.exp(-sigma[i] * (v - mu[i]))) for i, v in enumerate(sources)]
        return sum(e * s for e, s in zip(erev, opened, strict=True)), sum(opened)

    outputs = []
    for b in range(x.shape[0]):
        v, sequence = list(state[b]), []
        for t in range(x.shape[1]):
            for _ in range(unfolds):
                after = []
                for j in range(len(v)):
                    (n, d), (m, e) = flow(v, recurrent, j), flow(x[b, t], sensory, j)
                    c = capacitance[j] * unfolds / elapsed[b, t, j]
                    after.append((c * v[j] + leak[j] * rest[j] + n + m) / (c + leak[j] + d + e))
                v = after
            sequence.append(torch.stack(v))
        outputs.append(torch.stack(sequence))
    states = torch.stack(outputs)
    return states, states[:, -1]


def selective_scan_naive(u, dt, A, B, C, D, state):
    """The recurrence number by number."""
    batch, length, inner = u.shape
    y = [[[None] * inner for _ in range(length)] for _ in range(batch)]
    last = [[None] * inner for _ in range(batch)]
    for b in range(batch):
        for d in range(inner):
            h = list(state[b, d].unbind(0))
            for t in range(length):
                for n in range(A.shape[1]):
                    h[n] = torch.exp(dt[b, t, d] * A[d, n]) * h[n] + dt[b, t, d] * B[b, t, n] * u[b, t, d]
                y[b][t][d] = sum(C[b, t, n] * h[n] for n in range(A.shape[1])) + D[d] * u[b, t, d]
            last[b][d] = torch.stack(h)
    return (
        torch.stack([torch.stack([torch.stack(row) for row in sample]) for sample in y]),
        torch.stack([torch.stack(sample) for sample in last]),
    )


def attention_naive(q, k, v, window):
    """Softmax attention of one head, query by query, over the keys it may see."""
    found = []
    for i in range(q.shape[0]):
        first = 0 if window is None else max(0, i - window + 1)
        scores = k[first : i + 1] @ q[i] / math.sqrt(q.shape[1])
        found.append(torch.exp(scores) / torch.exp(scores).sum() @ v[first : i + 1])
    return torch.stack(found)


def trace_naive(spikes, tau):
    """`(1 - d) sum_i s[t-i] d^i` at every step of (batch, time, neurons), as the double sum it is."""
    d = math.exp(-1 / tau)
    traces = []
    for t in range(spikes.shape[1]):
        traces.append(sum((1 - d) * d**i * spikes[:, t - i] for i in range(t + 1)))
    return torch.stack(traces, 1)


def info_nce_naive(queries, keys, temperature, negatives):
    """Minus the mean log probability of each query's own key, pair by pair, of queries that have a rival."""
    total, asked = 0.0, 0
    for i, q in enumerate(queries):
        odds = [math.exp(float(q @ k / q.norm() / k.norm()) / temperature) for k in keys]
        rivals = [odds[j] for j in range(len(keys)) if j != i and negatives[i, j]]
        if rivals:
            total, asked = total - math.log(odds[i] / (odds[i] + sum(rivals))), asked + 1
    return total / asked


def temporal_contrastive_naive(z, start, session, near, apart, duration, temperature):
    """Each window against each of its positives and all of its negatives, window by window."""
    terms = []
    for i in range(len(z)):
        odds = [math.exp(float(z[i] @ other / z[i].norm() / other.norm()) / temperature) for other in z]
        gap = [abs(float(start[i] - t)) if session[i] == s else math.inf for t, s in zip(start, session, strict=True)]
        rivals = [odds[j] for j in range(len(z)) if gap[j] >= apart and gap[j] >= duration]
        own = [odds[j] for j in range(len(z)) if j != i and gap[j] <= near]
        if rivals and own:
            terms.append(sum(-math.log(p / (p + sum(rivals))) for p in own) / len(own))
    return sum(terms) / len(terms)


def bits_per_spike_naive(rates, counts):
    """Gain of rates (..., units) over each unit's mean, spike by spike of scipy's Poisson distribution, in bits."""
    mean = np.broadcast_to(counts.reshape(-1, counts.shape[-1]).mean(0), counts.shape)
    gain = poisson.logpmf(counts, rates).sum() - poisson.logpmf(counts, mean).sum()
    return gain / counts.sum() / math.log(2)


def mmd_naive(x, y, bandwidth):
    """Squared discrepancy kernel by kernel."""

    def mean_kernel(a, b):
        kernels = []
        for i in range(len(a)):
            for j in range(len(b)):
                kernels.append(math.exp(-float(((a[i] - b[j]) ** 2).sum()) / (2 * bandwidth**2)))
        return sum(kernels) / len(kernels)

    return mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)


def gradients(outputs, inputs):
    """Gradients of one fixed, uneven weighting of all outputs with respect to every input."""
    total = sum((torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view(out.shape) * out).sum() for out in outputs)
    return torch.autograd.grad(total, inputs)
