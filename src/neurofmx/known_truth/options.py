"""Which sessions are simulated, and how the model is pretrained on them. Section `known_truth` of params.yaml.

Nothing here needs torch, so reading params stays fast.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from neurofmx.foundation.options import PretrainOptions

DOMAIN = "sessions"  # the loss of the branch that names sessions


class KnownTruthOptions(BaseModel):
    """Settings of the sessions, the pretraining and the decoder that knows the truth."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(0, 1, 2, 3), min_length=2, description="A simulated session for each seed; each is a domain."
    )
    minutes: float = Field(default=10.0, ge=1, le=240, description="Length of a session.")
    units: int = Field(
        default=24, ge=4, description="Units of a session: spikes are read of one half, calcium of the other."
    )
    noise: float = Field(
        default=1.0, gt=0, description="Standard deviation of the noise of a sample of LFP, EEG and calcium."
    )
    branch: float = Field(
        default=0.3, gt=0, description="Weight of the loss `sessions` in the pretraining with a domain branch."
    )
    pretrain: dict[str, Any] = Field(
        default={}, description="Keys of section `pretrain` with another value for these sessions."
    )
    workers: int = Field(default=0, ge=0, description="Pretrainings at a time; 0 for one a CPU core.")
    particles: int = Field(
        default=600, ge=10, description="Of the Bayes decoder: more come nearer to the exact posterior."
    )

    @field_validator("seeds")
    @classmethod
    def _are_distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"{list(seeds)} names one twice: two equal sessions cannot be told apart")
        return seeds

    @field_validator("pretrain")
    @classmethod
    def _are_settings(cls, pretrain: dict[str, Any]) -> dict[str, Any]:
        if DOMAIN in PretrainOptions(**pretrain).losses:
            raise ValueError(f"losses.{DOMAIN}: the pretraining with a domain branch adds it, see `branch`")
        return pretrain

    def pretraining(self, section: PretrainOptions, *, branch: bool) -> PretrainOptions:
        """How the model is pretrained.

        Args:
            section: Section `pretrain` of params.yaml.
            branch: Whether a domain branch learns against the states.
        """
        settings: dict[str, Any] = {name: getattr(section, name) for name in PretrainOptions.model_fields}
        settings |= self.pretrain
        options = PretrainOptions(**settings)
        if not branch:
            return options
        settings["losses"] = {**options.losses, DOMAIN: self.branch}
        return PretrainOptions(**settings)
