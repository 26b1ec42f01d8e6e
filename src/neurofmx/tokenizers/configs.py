"""What a tokenizer can be told, with defaults and bounds. Nothing here needs torch, so reading params stays fast."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
LANGUAGE: dict[str, Any] = {"group": "language"}
VISION: dict[str, Any] = {"group": "vision"}


class PlainConfig(BaseModel):
    """The plain tokenizer has nothing to set."""

    model_config = FROZEN


class LogPowerConfig(BaseModel):
    """Settings of the log power behind spatial filters."""

    model_config = FROZEN

    sources: int = Field(default=16, ge=1, description="Spatial filters.")


class PlaceConfig(BaseModel):
    """How finely the position of a channel is told, where it is known."""

    model_config = FROZEN

    extent: float = Field(default=0.2, gt=0, description="Size of what is recorded, m: a head, a brain, a probe.")
    octaves: int = Field(default=4, ge=1, le=16, description="Wavelengths of the position's features.")


class UnitConfig(PlaceConfig):
    """Settings of the tokenizer of spikes."""

    width: int = Field(default=64, ge=1, description="Numbers that describe a unit.")


class CalciumConfig(UnitConfig):
    """Settings of the tokenizer of fluorescence."""

    extent: float = Field(default=0.001, gt=0, description="Size of the field of view, m.")
    decay_s: float = Field(default=0.7, gt=0, description="Decay of the indicator at the start, s; it is learnt.")


class ParcelConfig(PlaceConfig):
    """Settings of the tokenizer of parcels and voxels."""

    networks: int = Field(default=64, ge=1, description="Weighted sums over parcels.")


Band = tuple[NonNegativeFloat, PositiveFloat]


class VoltageConfig(PlaceConfig):
    """Settings shared by the tokenizers of voltages."""

    sources: int = Field(default=16, ge=1, description="Spatial filters.")
    waveform: bool = Field(default=True, description="Also read the shape of the voltage, not its power alone.")
    spectrum_s: float | None = Field(
        default=None, gt=0, description="Stretch around a token that its powers are taken of, s; null for its patch."
    )
    floor: float = Field(
        default=1e-4, gt=0, description="Power below which silence looks alike, in units of a channel's variance."
    )
    bands: tuple[Band, ...] = Field(
        default=((1, 4), (4, 8), (8, 13), (13, 30), (30, 70), (70, 150)),
        description="Bands whose log power is read, Hz, beside the power of all; those that such a short stretch or "
        "so low a rate cannot tell are left out.",
    )

    @field_validator("bands")
    @classmethod
    def _upwards(cls, bands: tuple[Band, ...]) -> tuple[Band, ...]:
        for low, high in bands:
            if low >= high:
                raise ValueError(f"a band begins below its end, got {low:g} to {high:g} Hz")
        return bands


class LFPConfig(VoltageConfig):
    """Settings of the tokenizer of local field potentials."""

    extent: float = Field(default=0.004, gt=0, description="Length of a probe, m.")
    bands: tuple[Band, ...] = ((1, 4), (4, 12), (12, 30), (30, 60), (60, 100), (100, 300))


class EEGConfig(VoltageConfig):
    """Settings of the tokenizer of scalp EEG, whose answers lie in rhythms more than in shapes.

    Name bands that the preprocessing passes: in any other the noise of training drowns what is left, and the network
    learns the noise.
    """

    waveform: bool = False
    floor: float = Field(default=0.03, gt=0, description="Power below which silence looks alike, in the same units.")
    bands: tuple[Band, ...] = ((8, 13), (13, 30))


class IEEGConfig(VoltageConfig):
    """Settings of the tokenizer of depth electrodes."""


class ECoGConfig(VoltageConfig):
    """Settings of the tokenizer of cortical surface electrodes."""

    bands: tuple[Band, ...] = ((1, 4), (4, 8), (8, 13), (13, 30), (30, 70), (70, 110), (110, 200))


class EMGConfig(VoltageConfig):
    """Settings of the tokenizer of muscle activity, raw or as an envelope."""

    extent: float = Field(default=0.1, gt=0, description="Size of a limb, m.")
    bands: tuple[Band, ...] = ((20, 60), (60, 100), (100, 200), (200, 450))


class SoundConfig(BaseModel):
    """Settings shared by the tokenizers of sound."""

    model_config = FROZEN

    window_ms: float = Field(default=25.0, gt=0, description="Length of a frame, ms.")
    hop_ms: float = Field(default=10.0, gt=0, description="From one frame, and so one token, to the next, ms.")
    bands: int = Field(default=40, ge=2, description="Bands of frequency.")
    low: float = Field(default=50.0, ge=0, description="Lowest frequency, Hz.")
    high: float | None = Field(default=None, gt=0, description="Highest frequency, Hz; null for half the rate.")

    def frames(self, rate: float) -> tuple[int, int, float]:
        """Samples from frame to frame, samples of a frame (even), and the highest frequency in Hz, at a rate."""
        size = 2 * max(1, round(self.window_ms * rate / 2000))
        return max(1, round(self.hop_ms * rate / 1000)), size, rate / 2 if self.high is None else self.high


class AudioConfig(SoundConfig):
    """Settings of the tokenizer of sound."""

    kernel_sizes: tuple[PositiveInt, ...] = Field(
        default=(3, 5, 7, 9), min_length=1, description="Frames that each convolution spans; odd."
    )

    @field_validator("kernel_sizes")
    @classmethod
    def _odd(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if any(size % 2 == 0 for size in sizes):
            raise ValueError(f"must be odd, so that a frame stands in the middle, got {list(sizes)}")
        return sizes


class VocalizationConfig(SoundConfig):
    """Settings of the tokenizer of voices."""

    coefficients: int = Field(default=13, ge=1, description="Cepstral coefficients (MFCC); at most the bands.")
    pitch_low: float = Field(default=60.0, gt=0, description="Lowest pitch, Hz.")
    pitch_high: float = Field(default=1000.0, gt=0, description="Highest pitch, Hz.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.coefficients > self.bands:
            raise ValueError(f"coefficients={self.coefficients}: must be at most bands={self.bands}")
        if self.pitch_low >= self.pitch_high:
            raise ValueError(f"pitch_low={self.pitch_low:g} must lie below pitch_high={self.pitch_high:g}")
        return self


class UltrasonicConfig(SoundConfig):
    """Settings of the tokenizer of ultrasonic calls, recorded at 250 kHz."""

    window_ms: float = Field(default=2.048, gt=0, description="Length of a frame, ms.")
    hop_ms: float = Field(default=1.0, gt=0, description="From one frame, and so one token, to the next, ms.")
    bands: int = Field(default=50, ge=2, description="Bands of frequency, all equally wide.")
    low: float = Field(default=20e3, ge=0, description="Lowest frequency, Hz.")
    high: float | None = Field(default=120e3, gt=0, description="Highest frequency, Hz; null for half the rate.")
    layers: int = Field(default=2, ge=1, description="Blocks of the transformer.")
    heads: int = Field(default=4, ge=1, description="Its heads; must divide hidden_dim.")


class ConvolutionConfig(BaseModel):
    """A stack of convolutions over height and width."""

    model_config = FROZEN

    conv_channels: tuple[PositiveInt, ...] = Field(
        default=(32, 64, 128), min_length=1, description="Channels of each convolution.", json_schema_extra=VISION
    )
    conv_kernel_sizes: tuple[PositiveInt, ...] = Field(
        default=(3, 3, 3), description="Pixels that each spans.", json_schema_extra=VISION
    )
    conv_strides: tuple[PositiveInt, ...] = Field(
        default=(1, 2, 2), description="Pixels from one place to the next.", json_schema_extra=VISION
    )
    conv_padding: tuple[NonNegativeInt, ...] = Field(
        default=(1, 1, 1), description="Empty pixels around the image.", json_schema_extra=VISION
    )

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        sizes = {name: len(getattr(self, name)) for name in ConvolutionConfig.model_fields}
        if len(set(sizes.values())) > 1:
            raise ValueError(f"as many numbers in each, one a convolution, got {sizes}")
        return self

    def places(self, size: int) -> int:
        """Places that the convolutions leave of a side of so many pixels; 0 where one spans more than it is given."""
        for kernel, stride, padding in zip(self.conv_kernel_sizes, self.conv_strides, self.conv_padding, strict=True):
            if (padded := size + 2 * padding) < kernel:
                return 0
            size = (padded - kernel) // stride + 1
        return size


class ImageConfig(ConvolutionConfig):
    """Settings of the tokenizer of images."""

    colours: int = Field(
        default=1,
        ge=1,
        description="Colours of a pixel, where a row holds them one after the other.",
        json_schema_extra=VISION,
    )


class BehaviorVideoConfig(ConvolutionConfig):
    """Settings of the tokenizer of keypoints with video."""

    conv_channels: tuple[PositiveInt, ...] = Field(default=(8, 16), min_length=1, description="Channels of each one.")
    conv_kernel_sizes: tuple[PositiveInt, ...] = Field(default=(3, 3), description="Pixels that each spans.")
    conv_strides: tuple[PositiveInt, ...] = Field(default=(2, 2), description="Pixels from one place to the next.")
    conv_padding: tuple[NonNegativeInt, ...] = Field(default=(1, 1), description="Empty pixels around the image.")
    form: Literal["xy", "xyz", "coco"] = Field(
        default="xy", description="Numbers of a keypoint: in the plane, in space, or (x, y, v) of COCO, not scaled."
    )


class VideoConfig(BaseModel):
    """Settings of the tokenizer of video."""

    model_config = FROZEN

    channels: tuple[PositiveInt, ...] = Field(
        default=(16, 32), min_length=1, description="Channels of each residual block."
    )
    grid: int = Field(default=2, ge=1, description="Places along height and width that a token reads apart.")


class VideoAudioConfig(BaseModel):
    """Settings of the tokenizer of video with sound."""

    model_config = FROZEN

    fusion: Literal["concat", "add", "cross_attention"] = Field(
        default="cross_attention", description="How tokens of the sound reach those of the video."
    )
    heads: int = Field(default=4, ge=1, description="Heads of the cross-attention; must divide hidden_dim.")
    video: VideoConfig = VideoConfig()
    audio: AudioConfig = AudioConfig()


class TextConfig(BaseModel):
    """Settings of the tokenizer of texts."""

    model_config = FROZEN

    embedding_dim: int | None = Field(
        default=None,
        ge=1,
        description="Numbers of a token's learnt vector; another than hidden_dim is brought to it by a linear map; "
        "null is hidden_dim.",
        json_schema_extra=LANGUAGE,
    )
    max_position_embeddings: int | None = Field(
        default=None,
        ge=1,
        description="Places of a window, from its start, that have a learnt vector each; at least its tokens. Null for "
        "none: recurrent networks know the order.",
        json_schema_extra=LANGUAGE,
    )
    embedding_dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Share of the vectors' numbers dropped in training.",
        json_schema_extra=LANGUAGE,
    )
    spread: float = Field(
        default=1.0,
        gt=0,
        description="Standard deviation of the vectors at the start. Where it is large beside what the blocks of a "
        "network add, the network begins as a bigram model and is slow to look further back.",
        json_schema_extra=LANGUAGE,
    )


class TrajectoryConfig(BaseModel):
    """Settings of the tokenizer of movements."""

    model_config = FROZEN

    velocity_s: float = Field(default=0.1, gt=0, description="A velocity counts as the way made in so many seconds.")
