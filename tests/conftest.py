"""What all tests share: one thread, as small operations lose more to a second one than they win; two processes."""

from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)
PIPELINE = Path(__file__).parent / "pipeline"


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `pytest -n 2 --dist loadgroup` a file stays in one process, and all that share the built pipeline do."""
    for item in items:
        group = PIPELINE if PIPELINE in item.path.parents else item.path
        item.add_marker(pytest.mark.xdist_group(group.relative_to(item.config.rootpath).as_posix()))


@pytest.fixture(autouse=True)
def _fresh_accelerator() -> None:
    """Accelerate keeps device and precision for a whole process; each test chooses its own."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
