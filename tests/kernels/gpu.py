"""Where the tests of GPU kernels run: on a GPU, or as Python under Triton's interpreter.

The interpreter has to be chosen before Triton is imported. So the files that test GPU kernels start themselves once
more in a process that has it, where the same tests run at sizes that suit it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from neurofmx.kernels.gpu.triton_there import interpreting

ROOT = Path(__file__).parents[2]
INTERPRETING = interpreting()
DEVICE = torch.device("cpu" if INTERPRETING or not torch.cuda.is_available() else "cuda")
# Under the interpreter numbers are as exact as those of the reference; on a GPU they are what a network trains with.
DTYPE = torch.float64 if INTERPRETING else torch.float32

needs_kernels = pytest.mark.skipif(
    not INTERPRETING and DEVICE.type != "cuda",
    reason="needs a CUDA device; without one, test_under_the_interpreter runs this test",
)
needs_gpu = pytest.mark.skipif(
    INTERPRETING or DEVICE.type != "cuda", reason="needs a CUDA device, where programs run in any order"
)
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed (`pip install triton`)")
without_gpu = pytest.mark.skipif(
    INTERPRETING or DEVICE.type == "cuda", reason="stands in for a GPU, or runs what stands in for one"
)


def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fills new memory with NaN, so that what a kernel leaves out is seen.

    Args:
        monkeypatch: Takes it back.
    """

    def poisoned(make):
        """A function like `make` whose numbers with a point are none."""

        def filled(*args, **kwargs):
            made = make(*args, **kwargs)
            return made.fill_(torch.nan) if made.is_floating_point() else made

        return filled

    monkeypatch.setattr(torch.Tensor, "new_empty", poisoned(torch.Tensor.new_empty))
    monkeypatch.setattr(torch, "empty_like", poisoned(torch.empty_like))


def run_under_the_interpreter(file: str) -> None:
    """Runs the tests of a file under Triton's interpreter and shows what went wrong.

    Args:
        file: Path of the file.
    """
    finished = _run("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", file, TRITON_INTERPRET="1")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert " passed" in finished.stdout


def compile_for_a_gpu(script: str, cache: Path) -> list[str]:
    """Runs lines of Python with kernels that are compiled for compute capability 9.0, but never started.

    Args:
        script: The lines; tensors on the CPU take the place of those on a GPU.
        cache: An empty folder for what is compiled.

    Returns:
        The names of the kernels that were compiled.
    """
    lines = f"from tests.kernels.compile_only import compiled, stand_in\nstand_in()\n{script}\nprint(*compiled)"
    finished = _run("-W", "error", "-c", lines, TRITON_CACHE_DIR=str(cache))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout.split()


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in the root of the repository."""
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": paths} | environment,
        capture_output=True,
        text=True,
    )


def gradients(outputs, inputs):
    """Gradients of one fixed, uneven weighting of all outputs, on whatever device and in whatever type they are."""
    weights = (torch.linspace(-1, 2, out.numel(), dtype=torch.float64, device=out.device) for out in outputs)
    total = sum((part.to(out.dtype).view(out.shape) * out).sum() for part, out in zip(weights, outputs, strict=True))
    return torch.autograd.grad(total, inputs)


def assert_near(ours, expected) -> None:
    """Compares numbers with a reference's, as closely as their own type allows beside the largest of them.

    Args:
        ours: Tensors.
        expected: The same, perhaps in float64.
    """
    for mine, true in zip(ours, expected, strict=True):
        assert mine.shape == true.shape
        scale = true.abs().max().item() if true.numel() else 1.0
        tolerance = 1e-10 if mine.dtype == torch.float64 else 1e-4
        torch.testing.assert_close(mine.double(), true.double(), rtol=tolerance, atol=tolerance * max(scale, 1e-3))
