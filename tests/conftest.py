"""What all tests share: one thread, as small operations lose more to a second one than they win, and their order."""

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _fresh_accelerator() -> None:
    """Accelerate keeps device and precision for a whole process; each test chooses its own."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that run DVC first: they last longest, and none of two processes shall wait for the other's at the end."""
    items.sort(key=lambda item: "pipeline" not in item.path.parts)
