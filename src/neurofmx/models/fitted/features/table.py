"""What the linear model reads of a window: every kind of features by name, and which suit a modality."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np

from neurofmx.models.fitted.features.additive import BrokenLines, Landmarks
from neurofmx.models.fitted.features.course import Course
from neurofmx.models.fitted.features.foreground import Foreground
from neurofmx.models.fitted.features.gradients import Gradients
from neurofmx.models.fitted.features.oscillations import BandPower, CommonSpatialPatterns, Features, Flat, TangentSpace
from neurofmx.models.fitted.features.symbols import Symbols
from neurofmx.tokenizers.cutting.windows import Windows

Kind = Literal["flat", "bands", "csp", "riemann", "lines", "smooth", "course", "foreground", "gradients", "symbols"]
FitFeatures = Callable[[np.ndarray, np.ndarray], Features]
FEATURES: dict[str, type[Features]] = {
    "flat": Flat,
    "bands": BandPower,
    "csp": CommonSpatialPatterns,
    "riemann": TangentSpace,
    "lines": BrokenLines,
    "smooth": Landmarks,
    "course": Course,
    "foreground": Foreground,
    "gradients": Gradients,
    "symbols": Symbols,
}
AUTO: dict[str, tuple[Kind, ...]] = {
    "ecog": ("flat", "bands"),
    "eeg": ("riemann",),
    "emg": ("flat", "bands", "riemann"),
    "ieeg": ("flat", "bands"),
    "lfp": ("flat", "bands"),
    "trajectory": ("flat", "lines", "smooth"),
    "video": ("foreground",),
}
_PLAIN: dict[str, FitFeatures] = {
    "flat": Flat.fit,
    "bands": BandPower.fit,
    "riemann": TangentSpace.fit,
    "course": Course.fit,
}
_WHOLE = ("bands", "csp")  # need windows without padding
_PICTURES = ("foreground", "gradients")  # need windows of pictures


def readers(
    windows: Windows,
    kind: Kind | Literal["auto"],
    *,
    csp_components: int,
    knots: Sequence[int],
    landmarks: int,
    widths: Sequence[float],
) -> list[FitFeatures]:
    """The features to try on the validation windows of a dataset, simplest first.

    Args:
        windows: Windows of the dataset.
        kind: Key of `FEATURES`, or `auto` for those that suit the modality.
        csp_components: Spatial filters of csp.
        knots: Knots of each broken line, to choose from.
        landmarks: Training windows to be like, of smooth.
        widths: Widths of the likeness, to choose from.

    Returns:
        For each a function of windows `(n, time, channels)` and labels that learns the features.

    Raises:
        ValueError: If the windows or the task are not what the features need.
    """
    kinds = _suited(windows) if kind == "auto" else (kind,)
    for each in kinds:
        _require(windows, each)
    settings: dict[str, list[FitFeatures]] = {
        "csp": [partial(CommonSpatialPatterns.fit, components=csp_components)],
        "lines": [partial(BrokenLines.fit, knots=count) for count in sorted(knots)],
        "symbols": [partial(Symbols.fit, vocabulary=windows.tokens)],
        "smooth": [partial(Landmarks.fit, landmarks=landmarks, width=width) for width in sorted(widths)],
    }
    return [reader for each in kinds for reader in settings.get(each) or [_reader(windows, each)]]


def _suited(windows: Windows) -> tuple[Kind, ...]:
    """The features that are usual for a modality and that its windows can have."""
    padded = _padded(windows)
    if windows.tokens:
        return ("symbols",)
    if windows.modality == "audio" and padded:
        return ("course",)
    if windows.modality == "image" and len(windows.grid) == 3:
        return ("gradients",)
    kinds = AUTO.get(windows.modality, ("flat",))
    if windows.task.kind != "classification" and "flat" not in kinds and windows.modality == "eeg":
        kinds = ("flat", *kinds)  # a course of values may lie in the voltage itself, which a covariance does not hold
    return tuple(each for each in kinds if not (padded and each in _WHOLE))


def _reader(windows: Windows, kind: Kind) -> FitFeatures:
    """How a kind without settings learns."""
    if kind in _PICTURES:
        return partial((Gradients if kind == "gradients" else Foreground).fit, grid=_grid(windows, kind))
    return _PLAIN[kind]


def _require(windows: Windows, kind: Kind) -> None:
    """Refuse features that a dataset cannot have."""
    if (kind == "symbols") != bool(windows.tokens):
        held = "numbers of tokens" if windows.tokens else "measurements"
        raise ValueError(f"features={kind!r} cannot read {windows.dataset}, whose windows hold {held}: use 'auto'")
    if kind in _WHOLE and _padded(windows):
        raise ValueError(f"features={kind!r} needs windows of one length, {windows.dataset} pads some: use 'riemann'")
    if kind == "csp" and windows.task.kind != "classification":
        raise ValueError(
            f"features='csp' needs classes; {windows.dataset} asks for {windows.task.kind}: use 'riemann' or 'flat'"
        )


def _padded(windows: Windows) -> bool:
    return bool(np.any(windows.length < windows.x.shape[1]))


def _grid(windows: Windows, kind: str) -> tuple[int, ...]:
    """Shape of a picture, where windows are pictures."""
    frames = windows.x.shape[1] // windows.grid[0] if windows.grid else 0
    if not frames or (kind == "gradients" and frames != 1):
        raise ValueError(
            f"features={kind!r} needs windows of {'one picture' if kind == 'gradients' else 'pictures'}; those of "
            f"{windows.dataset} hold {frames}: use 'flat'"
        )
    return windows.grid
