"""What all tests share: one thread, as small operations lose more to a second one than they win."""

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _fresh_accelerator() -> None:
    """Accelerate keeps device and precision for a whole process; each test chooses its own."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
