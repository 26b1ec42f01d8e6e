"""Settings of the benchmark, section `benchmark` of params.yaml; a frozen suite holds its own."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

Count = Annotated[int, Field(ge=2)]


class BenchmarkOptions(BaseModel):
    """How the parts of the benchmark are asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    folds: int | None = Field(
        default=2,
        ge=1,
        description="Folds that states are read on: the first so many, and more as long as they have fewer tested "
        "windows than test_windows; null for all. Answers that are kept are scored on all.",
    )
    train_windows: int = Field(default=1000, ge=20, description="Training windows of a fold that readouts learn from.")
    test_windows: int = Field(default=1000, ge=20, description="Tested windows of a fold that states are read of.")
    n_train: tuple[Count, ...] = Field(
        default=(25, 100, 400), description="Training windows of the linear probe, beside all of them."
    )
    ways: int = Field(default=4, ge=2, description="Classes of an episode at most; values are cut into so many bins.")
    shots: tuple[PositiveInt, ...] = Field(default=(1, 5), min_length=1, description="Labelled windows of a class.")
    queries: int = Field(default=10, ge=1, description="Windows asked of each class in an episode.")
    episodes: int = Field(
        default=200, ge=10, description="Episodes for each number of shots, over all folds; each seed answers them all."
    )
    held_out: float = Field(default=0.2, gt=0, lt=1, description="Share of the channels that are hidden and read back.")
    steps: int = Field(
        default=8, ge=1, description="Stretches of a window that a probe reads the mean states of, side by side."
    )
    strengths: tuple[PositiveFloat, ...] = Field(
        default=(1.0, 10.0, 100.0, 1e3, 1e4, 1e5), min_length=1, description="Penalties of readouts to choose from."
    )
    stream_windows: int = Field(
        default=16, ge=0, description="Windows of a fold that are read sample by sample; 0 for no streaming."
    )
    draws: int = Field(default=1000, ge=100, description="Bootstrap draws.")
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="Probability that an interval aims to cover.")
