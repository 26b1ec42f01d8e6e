"""Stands in for a GPU: Triton compiles every kernel to the machine code of one, and nothing runs.

The interpreter takes kernels that the compiler refuses, such as a variable that changes its type inside a loop.
"""

from __future__ import annotations

import torch

compiled: list[str] = []


class _Utils:
    """What Triton asks a driver to do with machine code."""

    def get_device_properties(self, device):
        return {"max_shared_mem": 232448, "multiprocessor_count": 132}

    def load_binary(self, name, code, shared, device):
        assert code
        compiled.append(name)
        return name, None, 0, 0, 1024


class _Driver:
    """A GPU of compute capability 9.0 on which starting a kernel does nothing."""

    utils = _Utils()

    def launcher_cls(self, source, metadata):
        return lambda *arguments: None

    def get_current_target(self):
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", 90, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0

    def get_active_torch_device(self):
        return torch.device("cpu")


def stand_in() -> None:
    """Puts the driver in place of that of a real GPU."""
    from triton.runtime import driver

    driver.set_active(_Driver())
