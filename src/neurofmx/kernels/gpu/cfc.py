"""The CfC recurrence as kernels for GPUs, forward and backward; the equations stand in `neurofmx.kernels.cfc`.

Symbols: `h` state, `z` features `tanh(W [x, h] + w)` with the constants of LeCun's tanh inside the weights, `f, g`
targets, `a, b` rate and offset of the blend between them, `s = sigmoid(a e + b)`, `e` elapsed time.

    forward    h = f + s (g - f)
    backward   df = dh (1 - s) (1 - f^2),  dg = dh s (1 - g^2),  db = dh (g - f) s (1 - s),  da = e db,  de = a db
               dz = V' [df, dg, da, db],   dp = dz (1 - z^2),    dh before = R' dp

A program has `ROWS` samples from the first step of a stretch to the last. What a step needs of all units or features
goes through memory, where it lies in the nearest cache, with a barrier before it is read; the weights are read at every
step, block by block, and stay in the second cache. The kernels hold neither what the inputs contribute to the features
nor the gradients of weights: these are matrix products over a whole stretch, before and after.

Arrays: features (batch, steps, FEATURES), gates (batch, steps, 4 UNITS), both filled up to whole blocks;
states (batch, time, units), of which a stretch begins at step `begin`; `elapsed` with any strides.
"""

from __future__ import annotations

from neurofmx.kernels.gpu.triton_there import constexpr, kernel, part, tl


@part
def tanh(x):
    """The hyperbolic tangent, from what Triton's own language has, so that the interpreter knows it too."""
    return 1.0 - 2.0 / (1.0 + tl.exp(2.0 * x))


@part
def samples(batch, ROWS: constexpr):
    """The samples of this program (ROWS, 1), and which of them exist."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    return row, row < batch


@part
def block(first, SIZE: constexpr):
    """Columns (1, SIZE) from the first one on."""
    return first + tl.arange(0, SIZE)[None, :]


@part
def weights(matrix, down, across, width, BLOCK: constexpr):
    """A block (BLOCK, BLOCK) of a matrix with rows of some width."""
    return tl.load(matrix + (down + tl.arange(0, BLOCK)[:, None]) * width + block(across, BLOCK))


@part
def product(rows, matrix, sums, PRECISION: constexpr):
    """Adds a product of blocks to sums."""
    return tl.dot(rows, matrix, sums, input_precision=PRECISION, out_dtype=sums.dtype)


@part
def counts(mask, place, here, MASKED: constexpr):
    """Which samples go on at a step (ROWS, 1)."""
    on = here
    if MASKED:
        on = on & (tl.load(mask + place, mask=here, other=0) != 0)
    return on


@kernel
def forward(
    features, before, before_row: int, from_state, to_gates, bias, elapsed, e_row: int, e_step: int, e_unit: int, mask,
    states, batch: int, time: int, begin: int, steps: int, units: int,
    MASKED: constexpr, UNITS: constexpr, FEATURES: constexpr, ROWS: constexpr, BLOCK: constexpr,
    AHEAD: constexpr, PRECISION: constexpr,
):  # fmt: skip
    """Takes samples through a stretch; `features` come with what the inputs contribute and go as features.

    `from_state` is (UNITS, FEATURES), `to_gates` (4 FEATURES, UNITS), one gate below the other, `bias` (4, UNITS), and
    `before` the state before the stretch.
    """
    row, here = samples(batch, ROWS)
    old = before + row * before_row
    for t in tl.range(0, steps, num_stages=1):  # nothing of a step may be read ahead: it is not yet written
        z_row = features + (row * steps + t) * FEATURES
        for k in range(0, FEATURES, BLOCK):
            z = tl.load(z_row + block(k, BLOCK), mask=here, other=0.0)
            for n in tl.range(0, UNITS, BLOCK, num_stages=AHEAD):
                h = tl.load(old + block(n, BLOCK), mask=here & (block(n, BLOCK) < units), other=0.0)
                z = product(h, weights(from_state, n, k, FEATURES, BLOCK), z, PRECISION)
            tl.store(z_row + block(k, BLOCK), tanh(z), mask=here)
        tl.debug_barrier()
        place = row * time + begin + t
        new, on = states + place * units, counts(mask, place, here, MASKED)
        for n in range(0, UNITS, BLOCK):
            unit = block(n, BLOCK)
            f = tl.load(bias + unit) + tl.zeros((ROWS, BLOCK), bias.dtype.element_ty)
            g = tl.load(bias + UNITS + unit) + tl.zeros((ROWS, BLOCK), bias.dtype.element_ty)
            a = tl.load(bias + 2 * UNITS + unit) + tl.zeros((ROWS, BLOCK), bias.dtype.element_ty)
            b = tl.load(bias + 3 * UNITS + unit) + tl.zeros((ROWS, BLOCK), bias.dtype.element_ty)
            for k in tl.range(0, FEATURES, BLOCK, num_stages=AHEAD):
                z = tl.load(z_row + block(k, BLOCK), mask=here, other=0.0)
                f = product(z, weights(to_gates, k, n, UNITS, BLOCK), f, PRECISION)
                g = product(z, weights(to_gates, FEATURES + k, n, UNITS, BLOCK), g, PRECISION)
                a = product(z, weights(to_gates, 2 * FEATURES + k, n, UNITS, BLOCK), a, PRECISION)
                b = product(z, weights(to_gates, 3 * FEATURES + k, n, UNITS, BLOCK), b, PRECISION)
            there = here & (unit < units)
            e = tl.load(elapsed + row * e_row + (begin + t) * e_step + unit * e_unit, mask=there, other=0.0)
            f = tanh(f)
            h = f + tl.sigmoid(a * e + b) * (tanh(g) - f)
            if MASKED:
                h = tl.where(on, h, tl.load(old + unit, mask=there, other=0.0))
            tl.store(new + unit, h, mask=there)
        tl.debug_barrier()
        old = new


@part
def to_gates(gates, unit, wanted, e, arrived, UNITS: constexpr):
    """Gradients of a block of gates before their functions, from the gates and the gradient at the states."""
    f, g = (
        tanh(tl.load(gates + unit, mask=wanted, other=0.0)),
        tanh(tl.load(gates + UNITS + unit, mask=wanted, other=0.0)),
    )
    a = tl.load(gates + 2 * UNITS + unit, mask=wanted, other=0.0)
    s = tl.sigmoid(a * e + tl.load(gates + 3 * UNITS + unit, mask=wanted, other=0.0))
    db = arrived * (g - f) * (s * (1.0 - s))
    return arrived * (1.0 - s) * (1.0 - f * f), arrived * s * (1.0 - g * g), db * e, db, db * a


@kernel
def backward(
    gates, features, to_features, from_gates, from_features, elapsed, e_row: int, e_step: int, e_unit: int, mask,
    dstates, dh, delapsed, batch: int, time: int, begin: int, steps: int, units: int,
    MASKED: constexpr, TIMES: constexpr, UNITS: constexpr, FEATURES: constexpr, ROWS: constexpr,
    BLOCK: constexpr, AHEAD: constexpr, PRECISION: constexpr,
):  # fmt: skip
    """Takes samples back through a stretch; `gates`, before their functions, become their gradients.

    `to_features` takes the gradients of the features before their function, `from_gates` is (4 UNITS, FEATURES),
    `from_features` (FEATURES, UNITS), and `dh` (batch, units) the gradient at the state behind the stretch, which
    becomes that before it. `TIMES` says whether `delapsed` (batch, time, units) is wanted.
    """
    row, here = samples(batch, ROWS)
    dh += row * units
    for back in tl.range(0, steps, num_stages=1):
        t = steps - 1 - back
        step, place = row * steps + t, row * time + begin + t
        d_row, z_row, p_row = gates + step * 4 * UNITS, features + step * FEATURES, to_features + step * FEATURES
        on = counts(mask, place, here, MASKED)
        for n in range(0, UNITS, BLOCK):
            unit = block(n, BLOCK)
            there, filled = here & (unit < units), here & (unit < UNITS)
            arrived = tl.load(dh + unit, mask=there, other=0.0)
            arrived += tl.load(dstates + place * units + unit, mask=there, other=0.0)
            e = tl.load(elapsed + row * e_row + (begin + t) * e_step + unit * e_unit, mask=there, other=0.0)
            df, dg, da, db, de = to_gates(d_row, unit, filled, e, tl.where(on, arrived, 0.0), UNITS)
            tl.store(d_row + unit, df, mask=filled)
            tl.store(d_row + UNITS + unit, dg, mask=filled)
            tl.store(d_row + 2 * UNITS + unit, da, mask=filled)
            tl.store(d_row + 3 * UNITS + unit, db, mask=filled)
            tl.store(dh + unit, arrived, mask=there)
            if TIMES:
                tl.store(delapsed + place * units + unit, de, mask=there)
        tl.debug_barrier()
        for k in range(0, FEATURES, BLOCK):
            dz = tl.zeros((ROWS, BLOCK), features.dtype.element_ty)
            for n in tl.range(0, 4 * UNITS, BLOCK, num_stages=AHEAD):
                d = tl.load(d_row + block(n, BLOCK), mask=here, other=0.0)
                dz = product(d, weights(from_gates, n, k, FEATURES, BLOCK), dz, PRECISION)
            z = tl.load(z_row + block(k, BLOCK), mask=here, other=0.0)
            tl.store(p_row + block(k, BLOCK), dz * (1.0 - z * z), mask=here)
        tl.debug_barrier()
        for n in range(0, UNITS, BLOCK):
            unit = block(n, BLOCK)
            there = here & (unit < units)
            before = tl.zeros((ROWS, BLOCK), features.dtype.element_ty)
            for k in tl.range(0, FEATURES, BLOCK, num_stages=AHEAD):
                d = tl.load(p_row + block(k, BLOCK), mask=here, other=0.0)
                before = product(d, weights(from_features, k, n, UNITS, BLOCK), before, PRECISION)
            if MASKED:
                before = tl.where(on, before, tl.load(dh + unit, mask=there, other=0.0))
            tl.store(dh + unit, before, mask=there)
        tl.debug_barrier()
