"""Times of the GPU kernels beside their peers; run in the root of the repository: PYTHONPATH=src:. python times.py [--tiny].

Prints one line per case: median ms (and spread) forward, forward + backward, peak MiB beyond the inputs. Cases are
interleaved: ours, peer, ours, peer, ...; a peer that can't be imported is named and left out.
"""

import argparse
import importlib
import json
import os
import statistics
import time

import torch

p = argparse.ArgumentParser()
p.add_argument("--tiny", action="store_true")
p.add_argument("--only", nargs="*")
p.add_argument("--seconds", type=float, default=1.0)
a = p.parse_args()
GPU = torch.cuda.is_available() and not a.tiny
DEV = "cuda" if GPU else "cpu"
rows = []


def clock(f):
    if GPU:
        s, e = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        s.record()
        f()
        e.record()
        torch.cuda.synchronize()
        return s.elapsed_time(e)
    t = time.perf_counter()
    f()
    return (time.perf_counter() - t) * 1e3


def peak(f):
    if not GPU:
        f()
        return 0.0
    torch.cuda.synchronize()
    base = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    f()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - base) / 2**20


def compare(name, sides):
    """sides: {label: (forward, leaves)}; forward() gives a tuple of outputs."""

    def both(forward, leaves):
        outs = [o for o in forward() if o.requires_grad]
        torch.autograd.grad(sum((o * o).sum() for o in outs), leaves, allow_unused=True)

    jobs = {}
    for label, (forward, leaves) in sides.items():

        def fwd(forward=forward):
            with torch.no_grad():
                forward()

        jobs[label] = (fwd, lambda forward=forward, leaves=leaves: both(forward, leaves))
    good = {}
    for label, (f, b) in jobs.items():
        try:
            t = time.time()
            f()
            b()
            first = time.time() - t
            good[label] = (f, b, first)
        except Exception as error:
            print(f"{name:40s} {label:14s} FAILED {type(error).__name__}: {str(error)[:150]}", flush=True)
            if GPU:
                torch.cuda.empty_cache()
    mem = {label: (peak(f), peak(b)) for label, (f, b, _) in good.items()}
    times = {label: ([], []) for label in good}
    end = time.time() + a.seconds * max(1, len(good))
    n = 0
    while (time.time() < end or n < 5) and n < 200:
        for label, (f, b, _) in good.items():
            times[label][0].append(clock(f))
            times[label][1].append(clock(b))
        n += 1
        if n >= 2 and time.time() > end + 20:
            break
    for label in good:
        f, b = (statistics.median(t) for t in times[label])
        q = sorted(times[label][1])
        row = {
            "case": name,
            "side": label,
            "fwd_ms": f,
            "fwdbwd_ms": b,
            "p10": q[len(q) // 10],
            "p90": q[-1 - len(q) // 10],
            "fwd_MiB": mem[label][0],
            "fwdbwd_MiB": mem[label][1],
            "first_s": good[label][2],
            "n": n,
        }
        rows.append(row)
        print(
            f"{name:40s} {label:14s} fwd {f:9.3f}  fwd+bwd {b:9.3f} [{row['p10']:.3f} {row['p90']:.3f}] ms  peak {mem[label][0]:8.1f} {mem[label][1]:8.1f} MiB  first {row['first_s']:.1f} s n={n}",
            flush=True,
        )


def leaf(*shape, scale=1.0):
    return (torch.randn(*shape, device=DEV) * scale).requires_grad_()


def peer(module):
    try:
        return importlib.import_module(module)
    except Exception as error:
        print("no", module, error)
        return None


def scan():
    from neurofmx.kernels.gpu import selective_scan_op as op
    from neurofmx.kernels.selective_scan import selective_scan

    mamba = peer("mamba_ssm.ops.selective_scan_interface")
    for B, L, D, N in (
        [(1, 9, 4, 2)] if a.tiny else [(2, 2048, 512, 16), (8, 2048, 1024, 16), (1, 8192, 512, 16), (1, 65536, 512, 16)]
    ):
        u, dt, z = leaf(B, L, D), leaf(B, L, D), leaf(B, L, D)
        Bc, C = leaf(B, L, N), leaf(B, L, N)
        A = (-torch.arange(1, N + 1, device=DEV).float().repeat(D, 1)).requires_grad_()
        Dd = leaf(D)
        ins = [u, dt, A, Bc, C, Dd, z]
        name = f"scan B{B} L{L} D{D} N{N}"
        sides = {"triton": (lambda: op.scan(*ins, None, None, True), ins)}
        if mamba:
            T = lambda t: t.transpose(1, 2).contiguous()
            sides["mamba-ssm+T"] = (
                lambda: (
                    mamba.selective_scan_fn(T(u), T(dt), A, T(Bc), T(C), D=Dd, z=T(z), delta_softplus=True).transpose(
                        1, 2
                    ),
                ),
                ins,
            )
            cf = [t.detach().transpose(1, 2).contiguous().requires_grad_() for t in (u, dt, Bc, C, z)]
            sides["mamba-ssm"] = (
                lambda: (mamba.selective_scan_fn(cf[0], cf[1], A, cf[2], cf[3], D=Dd, z=cf[4], delta_softplus=True),),
                [*cf, A, Dd],
            )
        if L <= 2048:
            sides["reference"] = (
                lambda: selective_scan(u, dt, A, Bc, C, Dd, gate=z, softplus=True, path="reference"),
                ins,
            )
        compare(name, sides)
        if mamba and GPU:
            ours, theirs = sides["triton"][0]()[0], sides["mamba-ssm+T"][0]()[0]
            print("   outputs differ from mamba-ssm's by", ((ours - theirs).abs().max() / theirs.abs().max()).item())


def tune():
    """Tiles of the scan; registers are full at (32, 32) forward and (16, 32) backward, so others may spill and still win."""
    from neurofmx.kernels.gpu import selective_scan_op as op

    B, L, D, N = (1, 9, 4, 2) if a.tiny else (2, 2048, 512, 16)
    u, dt, z = leaf(B, L, D), leaf(B, L, D), leaf(B, L, D)
    Bc, C = leaf(B, L, N), leaf(B, L, N)
    A = (-torch.arange(1, N + 1, device=DEV).float().repeat(D, 1)).requires_grad_()
    ins = [u, dt, A, Bc, C, leaf(D), z]
    f0, b0 = op.FORWARD, op.BACKWARD
    for T, W in [(4, 4)] if a.tiny else [(16, 32), (32, 32), (64, 32), (16, 64), (32, 64)]:
        op.FORWARD = op.Cut(T, W)
        compare(f"tune forward T{T} LANES{W}", {"triton": (lambda: op.scan(*ins, None, None, True), ins)})
    op.FORWARD = f0
    for T, W in [(4, 4)] if a.tiny else [(8, 32), (16, 32), (32, 32), (8, 64), (16, 64)]:
        op.BACKWARD = op.Cut(T, W)
        compare(f"tune backward T{T} LANES{W}", {"triton": (lambda: op.scan(*ins, None, None, True), ins)})
    op.BACKWARD = b0


def lif():
    from neurofmx.kernels import lif_readout_triton_op as rop
    from neurofmx.kernels import lif_triton_op as op
    from neurofmx.kernels.lif import lif as public

    sn = peer("snntorch")
    for T in [4] if a.tiny else [32, 128, 512, 8192]:
        B, N = (2, 8) if a.tiny else (32, 256)
        x, u0 = leaf(B, T, N, scale=0.5), torch.zeros(B, N, device=DEV)
        beta, th = torch.full((N,), 0.9, device=DEV), torch.ones(N, device=DEV)
        knobs = [0.0, 1.0, 50.0, 625.0]
        sides = {"triton": (lambda: op.run(x, u0, beta, th, None, 1, knobs), [x])}
        if T <= 512:
            sides["reference"] = (lambda: public(x, u0, beta=beta, threshold=th, path="reference"), [x])
        if sn and T <= 512:
            sides["snntorch"] = (lambda: public(x, u0, beta=beta, threshold=th, path="library"), [x])
        compare(f"lif B{B} T{T} N{N}", sides)
        w = [0.03] * 4
        compare(
            f"lif_readout 4 steps B{B} L{T} N{N}",
            {"triton": (lambda: rop.run(x, u0, u0, beta, th, None, [0.8, *w], knobs)[:4], [x])},
        )


def cfc():
    from neurofmx.kernels.cfc import CfCWeights
    from neurofmx.kernels.cfc import cfc as public
    from neurofmx.kernels.gpu import cfc_op as op

    ncps = peer("ncps.torch")
    for B, L in [(2, 3)] if a.tiny else [(2, 512), (16, 128), (16, 512), (16, 2048), (64, 512), (1, 8192)]:
        I, U, K = (3, 4, 5) if a.tiny else (64, 256, 128)
        x, h = leaf(B, L, I), torch.zeros(B, U, device=DEV)
        e = torch.ones(1, 1, U, device=DEV)
        w = [leaf(K, I + U, scale=0.05), leaf(K), leaf(4 * U, K, scale=0.05), leaf(4 * U)]
        sides = {"triton": (lambda: op.run(x, h, *w, e, None), [x, *w])}
        if L <= 2048:
            sides["reference"] = (lambda: public(x, h, CfCWeights(*w), path="reference"), [x, *w])
            if ncps:
                sides["ncps"] = (lambda: public(x, h, CfCWeights(*w), path="library"), [x, *w])
        compare(f"cfc B{B} L{L} I{I} U{U} K{K}", sides)
        if not GPU:
            continue
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        compare(f"cfc B{B} L{L} tf32", {"triton": sides["triton"]})
        torch.set_float32_matmul_precision(before)


def block():
    from benchmarks import block as b

    for L in [8] if a.tiny else [2048, 8192, 65536]:
        hybrid = b._network("sequential").to(DEV)
        torch.manual_seed(0)
        config, network = b.ours("models.configs", "TransformerConfig"), b.ours("models.transformer", "Transformer")
        former = network(config(num_layers=1, dropout=0.0, attention_dropout=0.0, **b.WIDTHS["transformer"])).to(DEV)
        x1, x2 = leaf(1, L, hybrid.config.hidden_dim), leaf(1, L, former.config.hidden_dim)
        compare(
            f"block L{L}",
            {
                "hybrid": (lambda: hybrid(x1)[:1], [x1, *hybrid.parameters()]),
                "transformer": (lambda: former(x2)[:1], [x2, *former.parameters()]),
            },
        )


for job in (scan, lif, cfc, block, tune):
    if not a.only or job.__name__ in a.only:
        try:
            job()
        except Exception as error:
            print(job.__name__, "stopped:", type(error).__name__, error, flush=True)
from neurofmx.kernels.cuda import decisions

print(decisions())
print(torch.__version__, torch.cuda.get_device_name() if GPU else "cpu")
if os.environ.get("OUT"):
    json.dump(rows, open(os.path.join(os.environ["OUT"], "times.json"), "w"), indent=1)
