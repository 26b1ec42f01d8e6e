"""Every loss and every way to weigh several, by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from neurofmx.losses.domain_adversarial import domain_adversarial
from neurofmx.losses.domain_confusion import domain_confusion
from neurofmx.losses.fixed_weights import FixedWeights
from neurofmx.losses.forecast import forecast_loss
from neurofmx.losses.gaussian import gaussian_loss, squared_error
from neurofmx.losses.gradnorm import GradNorm
from neurofmx.losses.info_nce import info_nce
from neurofmx.losses.masked_reconstruction import masked_reconstruction
from neurofmx.losses.mmd import domain_mmd
from neurofmx.losses.poisson import poisson_loss
from neurofmx.losses.temporal_contrastive import temporal_contrastive
from neurofmx.losses.tri_modal import tri_modal_contrastive
from neurofmx.losses.uncertainty_weights import UncertaintyWeights
from neurofmx.losses.weighting import Weighting

# each returns a scalar, and takes a mask under the name its docstring says; read them with `neurofmx.tables.pick`
LOSSES: dict[str, Callable[..., Tensor]] = {
    "domain_adversarial": domain_adversarial,
    "domain_confusion": domain_confusion,
    "forecast": forecast_loss,
    "gaussian": gaussian_loss,
    "info_nce": info_nce,
    "masked_reconstruction": masked_reconstruction,
    "mmd": domain_mmd,
    "poisson": poisson_loss,
    "squared_error": squared_error,
    "temporal": temporal_contrastive,
    "tri_modal": tri_modal_contrastive,
}

WEIGHTINGS: dict[str, Callable[..., Weighting]] = {
    "fixed": FixedWeights,
    "gradnorm": GradNorm,
    "uncertainty": UncertaintyWeights,
}
