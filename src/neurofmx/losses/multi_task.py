"""One loss of several, any of which a step may lack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from neurofmx.losses.table import WEIGHTINGS
from neurofmx.tables import pick


class MultiTaskLossManager(nn.Module):
    """Joins named losses under fixed, uncertainty or GradNorm weights.

    A loss that a step lacks, because its modality is missing or nothing of it counts, is left out or given as None: it
    adds nothing, and its weight stays as it is. A loss of 0 in its place would say that it is solved.

    Its parameters (of `uncertainty`) belong into the optimiser; its `state_dict` holds all that a resumed training
    needs, tensors by the losses' names.

    Args:
        names: What the losses are called; no dots.
        weighting: `fixed`, `uncertainty` or `gradnorm`, a key of `WEIGHTINGS`.
        **options: Of the weighting: `weights` of fixed, `alpha` and `rate` of gradnorm.

    Raises:
        ValueError: If there is no name, a name is given twice or has a dot, or the weighting is unknown.

    Example:
        >>> import torch
        >>> manager = MultiTaskLossManager(["reconstruction", "contrast"], weighting="fixed", weights={"contrast": 0.5})
        >>> manager({"reconstruction": torch.tensor(1.0), "contrast": torch.tensor(2.0)}).item()
        2.0
        >>> manager({"reconstruction": torch.tensor(1.0), "contrast": None}).item()
        1.0
        >>> manager.weights()
        {'reconstruction': 1.0, 'contrast': 0.5}
    """

    def __init__(self, names: Sequence[str], *, weighting: str = "fixed", **options: Any) -> None:
        super().__init__()
        if not names or len(set(names)) < len(names) or any("." in name or not name for name in names):
            raise ValueError(f"names={list(names)}: give each loss a name of its own, without a dot")
        self.names = tuple(names)
        self.weighting = pick(WEIGHTINGS, weighting, "weighting")(self.names, **options)

    def forward(self, losses: Mapping[str, Tensor | None], *, shared: Iterable[Tensor] = ()) -> Tensor:
        """One loss for a step.

        Args:
            losses: Scalars by name; None, or no entry, for what the step lacks.
            shared: Parameters that all losses go through, for `gradnorm` in training.

        Returns:
            A scalar with gradient.

        Raises:
            ValueError: If no loss is there, one has another name or is no scalar, or as the weighting.
        """
        unknown = sorted(losses.keys() - set(self.names))
        if unknown:
            raise ValueError(f"losses {unknown} are not among the manager's: {', '.join(self.names)}")
        there = {name: loss for name in self.names if (loss := losses.get(name)) is not None}
        if not there:
            raise ValueError(f"none of {', '.join(self.names)} is there: skip a step that has no loss")
        wrong = {name: tuple(loss.shape) for name, loss in there.items() if loss.ndim}
        if wrong:
            raise ValueError(f"losses must be scalars, but have shapes {wrong}: take their means")
        return self.weighting.total(there, shared=tuple(shared))

    def weights(self) -> dict[str, float]:
        """What each loss is multiplied by now, to be logged."""
        return self.weighting.weights()
