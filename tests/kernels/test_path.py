"""The choice of a path and the checks of shapes."""

from __future__ import annotations

import pytest
import torch

from neurofmx.kernels.path import import_library
from neurofmx.kernels.shapes import require_shape


def test_missing_library_says_what_to_install():
    with pytest.raises(ImportError, match=r"needs no_such_module.*pip install something.*path='reference'"):
        import_library("no_such_module", install="something")


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 4), (2, 0, 3), (3,)])
def test_wrong_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"current must have the shape \(batch, time=3, neurons=3\), got"):
        require_shape("current", torch.zeros(shape), batch=None, time=3, neurons=3)
