"""Every way to weigh several losses, by name; the losses are in `neurofmx.foundation.self_supervision`."""

from __future__ import annotations

from collections.abc import Callable

from neurofmx.losses.fixed_weights import FixedWeights
from neurofmx.losses.gradnorm import GradNorm
from neurofmx.losses.uncertainty_weights import UncertaintyWeights
from neurofmx.losses.weighting import Weighting

# read them with `neurofmx.tables.pick`
WEIGHTINGS: dict[str, Callable[..., Weighting]] = {
    "fixed": FixedWeights,
    "gradnorm": GradNorm,
    "uncertainty": UncertaintyWeights,
}
