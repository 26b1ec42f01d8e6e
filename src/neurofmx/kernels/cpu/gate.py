"""What stands around the scan in a Mamba block, on tiles: softplus of the step sizes and a SiLU gate on the outputs.

    dt = softplus(x)       dx = sigmoid(x) ddt
    out = y z s            dy = z s dout,    dz = y s (1 + z (1 - s)) dout,    s = sigmoid(z)

These loops go from number to number and leave the vectors to the compiler.
"""

from __future__ import annotations

from neurofmx.kernels.cpu.compiled import njit
from neurofmx.kernels.cpu.simd.fastmath import sigmoid, softplus, widest_lanes
from neurofmx.kernels.cpu.simd.tiles import OPTIONS


@njit(**OPTIONS)
def soften(steps, size):
    """Replaces numbers by their softplus."""
    widest_lanes()
    for i in range(size):
        steps[i] = softplus(steps[i])


@njit(**OPTIONS)
def soften_with_slope(steps, slopes, size):
    """Replaces numbers by their softplus, and gives its derivative."""
    widest_lanes()
    for i in range(size):
        x = steps[i]
        slopes[i] = sigmoid(x)
        steps[i] = softplus(x)


@njit(**OPTIONS)
def gate(y, z, size):
    """Multiplies outputs by the gate."""
    widest_lanes()
    for i in range(size):
        y[i] *= z[i] * sigmoid(z[i])


@njit(**OPTIONS)
def gate_with_slope(out, z, size):
    """Replaces gradients after the gate by those before it, and the gate by the factor of `y` in its gradient."""
    widest_lanes()
    one = z.dtype.type(1)
    for i in range(size):
        s = sigmoid(z[i])
        arrived = out[i]
        out[i] = arrived * (z[i] * s)
        z[i] = arrived * (s * (one + z[i] * (one - s)))


@njit(**OPTIONS)
def multiply(x, factors, size):
    """Multiplies numbers by others."""
    widest_lanes()
    for i in range(size):
        x[i] *= factors[i]
