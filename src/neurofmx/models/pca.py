"""Principal components of flattened windows, and the linear readout on them: the classical low-dimensional decoder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from neurofmx.models.fitted.features.oscillations import Features, Flat
from neurofmx.models.fitted.linear import STRENGTHS, ClassicalDecoder, tune
from neurofmx.tokenizers.cutting.windows import Windows


class PcaConfig(BaseModel):
    """Settings of the decoder on principal components."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    components: tuple[PositiveInt, ...] = Field(
        default=(4, 8, 16, 32, 64), min_length=1, description="Components to choose from on the validation windows."
    )
    strengths: tuple[PositiveFloat, ...] = Field(
        default=STRENGTHS, min_length=1, description="Penalties to choose from on the validation windows."
    )
    max_iter: int = Field(default=1000, ge=1, description="Most iterations of the logistic regression.")


@dataclass(frozen=True, eq=False)
class PrincipalComponents(Features):
    """Flat windows, standardised, seen along the directions in which training windows vary most.

    Args:
        mean: Of the training windows, shape `(t * c,)`.
        std: Of the training windows, 1 where they never change, shape `(t * c,)`.
        directions: Orthonormal columns, largest variance first, shape `(t * c, components)`.
    """

    SHARED_UNIT: ClassVar[bool] = True

    mean: np.ndarray
    std: np.ndarray
    directions: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, *, components: int) -> PrincipalComponents:
        """Learn the directions with scikit-learn.

        Args:
            x: Windows, shape `(n, t, c)`.
            y: Not used.
            components: Directions to keep; at most as many as there are windows or numbers in one.
        """
        from sklearn.decomposition import PCA

        rows = Flat().transform(x)
        mean, std = rows.mean(axis=0), rows.std(axis=0)
        std = np.where(std > 0, std, 1.0)
        pca = PCA(min(components, *rows.shape), svd_solver="full").fit((rows - mean) / std)
        return cls(mean, std, np.asarray(pca.components_).T.copy())

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Windows `(n, t, c)` as rows `(n, components)`."""
        return (Flat().transform(x) - self.mean) / self.std @ self.directions


class PcaDecoder(ClassicalDecoder):
    """Ridge or logistic regression on principal components; their number is tuned with the penalty."""

    KINDS: ClassVar = {"pca": PrincipalComponents}

    @classmethod
    def fit(cls, windows: Windows, fold: int, config: PcaConfig, *, seed: int = 0) -> Self:
        """Tune and fit on one fold.

        Args:
            windows: Windows of one dataset.
            fold: Fold, 0 to `windows.folds - 1`.
            config: Settings.
            seed: Not used, as nothing here is drawn; every model is called alike.

        Returns:
            The fitted model.

        Raises:
            ValueError: If a class has no training window or the fold has no validation window.
        """
        readers = [partial(PrincipalComponents.fit, components=k) for k in sorted(config.components)]
        return cls(*tune(windows, fold, readers, strengths=config.strengths, max_iter=config.max_iter))
