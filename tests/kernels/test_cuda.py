"""The choice of what computes on a GPU, which needs none."""

from __future__ import annotations

import pytest
import torch

from neurofmx.kernels import cuda
from neurofmx.kernels.gpu import cfc, lif, lif_readout, selective_scan, triton_there

GPU, FLOAT = torch.device("cuda", 0), torch.float32


@pytest.fixture(autouse=True)
def _a_machine_with_everything(monkeypatch):
    """A GPU, Triton and mamba-ssm, as far as the choice can see, and no memory of earlier choices."""
    monkeypatch.setattr(cuda, "_decided", {})
    monkeypatch.setattr(triton_there, "triton", object())
    monkeypatch.setattr(cuda, "find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    cuda.mamba_is_there.cache_clear()
    cuda.triton_is_there.cache_clear()
    yield
    cuda.mamba_is_there.cache_clear()
    cuda.triton_is_there.cache_clear()


@pytest.mark.parametrize("kernel", ["selective_scan", "lif", "lif_readout", "cfc"])
def test_our_kernels_compute_where_they_can(kernel):
    assert cuda.cuda_path(kernel, GPU, FLOAT) == "triton"


def test_a_kernel_that_is_not_written_for_gpus_is_not_claimed():
    assert cuda.cuda_path("ltc", GPU, FLOAT) == "reference"
    assert cuda.decisions() == {"ltc": ["reference: ltc has no kernel for GPUs"]}


@pytest.mark.parametrize(
    ("kernel", "dtype", "plain", "path"),
    [
        ("selective_scan", torch.float32, True, "mamba_ssm"),
        ("selective_scan", torch.float32, False, "triton"),
        ("selective_scan", torch.float64, True, "triton"),
        ("lif", torch.float32, True, "triton"),
    ],
)
def test_mamba_ssm_answers_only_what_it_answers_in_full(kernel, dtype, plain, path):
    assert cuda.cuda_path(kernel, GPU, dtype, plain) == path


@pytest.mark.parametrize("missing", ["mamba_ssm", "selective_scan_cuda"])
def test_mamba_ssm_without_its_kernel_is_not_asked(missing, monkeypatch):
    monkeypatch.setattr(cuda, "find_spec", lambda name: None if name == missing else name)
    assert cuda.cuda_path("selective_scan", GPU, FLOAT, True) == "triton"


def test_without_triton_the_reference_computes_and_one_warning_says_what_to_do(monkeypatch):
    monkeypatch.setattr(triton_there, "triton", None)
    with pytest.warns(UserWarning, match=r"Triton can't be imported.*pip install triton") as caught:
        assert [cuda.cuda_path(kernel, GPU, FLOAT) for kernel in ("lif", "cfc")] == ["reference", "reference"]
    assert len(caught) == 1


def test_an_old_gpu_gets_the_reference(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert cuda.cuda_path("cfc", GPU, FLOAT) == "reference"
    assert cuda.decisions() == {"cfc": ["reference: compute capability (7, 5) is below (8, 0)"]}


def test_another_makers_gpu_gets_the_reference(monkeypatch):
    monkeypatch.setattr(torch.version, "hip", "7.0")
    assert cuda.cuda_path("lif", GPU, FLOAT) == "reference"


def test_a_cpu_is_refused_with_a_way_out(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    message = r"path='cuda' of lif needs tensors on a CUDA device, got cpu \(this .* without CUDA\): choose path='auto'"
    with pytest.raises(ValueError, match=message):
        cuda.cuda_path("lif", torch.device("cpu"), FLOAT)
    assert cuda.decisions() == {}


def test_the_interpreter_stands_in_for_a_gpu(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert cuda.cuda_path("cfc", torch.device("cpu"), FLOAT) == "triton"


def test_choices_are_reported_by_name():
    cuda.cuda_path("selective_scan", GPU, FLOAT, True)
    for dtype in (torch.float32, torch.float64):
        cuda.cuda_path("selective_scan", GPU, dtype)
    assert cuda.decisions() == {
        "selective_scan": [
            "mamba_ssm: mamba-ssm is built with its kernel, and no state, mask or gradient is asked for",
            "triton: compute capability (9, 0)",
        ]
    }


def test_torch_traces_through_the_choice():
    def doubled(x):
        return 2 * x if cuda.cuda_path("lif", GPU, x.dtype) == "triton" else x

    compiled = torch.compile(doubled, backend="eager", fullgraph=True)
    assert torch.equal(compiled(torch.ones(2)), torch.full((2,), 2.0))


def test_files_with_kernels_can_be_imported_without_triton():
    assert all(callable(module.forward) for module in (cfc, lif_readout, lif))
    assert callable(selective_scan.gradients)
