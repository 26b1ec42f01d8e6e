"""The choice of a path and the checks of shapes."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from neurofmx.kernels import cuda, path
from neurofmx.kernels.path import LIBRARIES, computed_by, import_library, resolve
from neurofmx.kernels.shapes import require_shape

GPU = torch.device("cuda", 0)


def test_a_report_names_what_computed_on_a_gpu(monkeypatch):
    paths = {"cfc": "auto", "ltc": "auto", "selective_scan": "cuda"}
    monkeypatch.setattr(cuda, "_decided", {})
    assert computed_by(paths, GPU) == "cuda"
    for kernel, name in (("cfc", "triton"), ("ltc", "reference"), ("selective_scan", "triton")):
        cuda._decided[kernel, GPU, torch.float32, False] = cuda.Decision(name, "a reason")
    assert computed_by(paths, GPU) == "cfc triton, ltc reference, selective_scan triton"
    assert computed_by({"cfc": "auto", "selective_scan": "auto"}, GPU) == "triton"
    cuda._decided["selective_scan", GPU, torch.float32, True] = cuda.Decision("mamba_ssm", "another reason")
    assert computed_by({"selective_scan": "auto"}, GPU) == "triton and mamba_ssm"


def test_every_kernel_has_a_name_on_the_library_path():
    assert {kernel: computed_by({kernel: "library"}, GPU) for kernel in LIBRARIES} == LIBRARIES


def test_missing_library_says_what_to_install():
    with pytest.raises(ImportError, match=r"needs no_such_module.*pip install something.*path='reference'"):
        import_library("no_such_module", install="something")


@pytest.mark.parametrize("error", [ImportError("Numba needs NumPy 2.x or less"), OSError("no libllvmlite.so")])
def test_where_numba_fails_the_reference_runs_and_one_warning_says_what_to_do(error, monkeypatch):
    def broken(name):
        raise error

    monkeypatch.setattr(path, "import_module", broken)
    monkeypatch.setattr(path, "_import_numba", cache(path._import_numba.__wrapped__))
    with pytest.warns(UserWarning, match=rf"{error}.*run `pip install --upgrade numba`") as said:
        assert [resolve("auto", torch.device("cpu")) for _ in range(3)] == ["reference"] * 3
    assert len(said) == 1


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 4), (2, 0, 3), (3,)])
def test_wrong_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"current must have the shape \(batch, time=3, neurons=3\), got"):
        require_shape("current", torch.zeros(shape), batch=None, time=3, neurons=3)
