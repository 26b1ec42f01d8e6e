"""From raw to clean recordings: one module per modality, and the table of them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel

from neurofmx.preprocessing import (
    audio,
    calcium,
    ecog,
    eeg,
    emg,
    fmri,
    ieeg,
    image,
    lfp,
    pose,
    spikes,
    text,
    trajectory,
    ultrasonic,
    video,
    vocalization,
)
from neurofmx.recordings.recording import Recording

__all__ = ["PREPROCESS", "Preprocessing"]


@dataclass(frozen=True)
class Preprocessing:
    """How one modality is cleaned.

    Args:
        preprocess: Called as `preprocess(recordings, options)`, returns the clean recordings.
        options: Class of the options.
        signal: Name of the signal that the clean recordings hold for the tokenizer.
    """

    preprocess: Callable[..., list[Recording]]
    options: type[BaseModel]
    signal: str


PREPROCESS: dict[str, Preprocessing] = {
    "audio": Preprocessing(audio.preprocess, audio.AudioOptions, "audio"),
    "calcium": Preprocessing(calcium.preprocess, calcium.CalciumOptions, "calcium"),
    "ecog": Preprocessing(ecog.preprocess, ecog.EcogOptions, "ecog"),
    "eeg": Preprocessing(eeg.preprocess, eeg.EegOptions, "eeg"),
    "emg": Preprocessing(emg.preprocess, emg.EmgOptions, "emg"),
    "fmri": Preprocessing(fmri.preprocess, fmri.FmriOptions, "bold"),
    "ieeg": Preprocessing(ieeg.preprocess, ieeg.IeegOptions, "ieeg"),
    "image": Preprocessing(image.preprocess, image.ImageOptions, "image"),
    "lfp": Preprocessing(lfp.preprocess, lfp.LfpOptions, "lfp"),
    "pose": Preprocessing(pose.preprocess, pose.PoseOptions, "pose"),
    "spikes": Preprocessing(spikes.preprocess, spikes.SpikeOptions, "spikes"),
    "text": Preprocessing(text.preprocess, text.TextOptions, "tokens"),
    "ultrasonic": Preprocessing(ultrasonic.preprocess, ultrasonic.UltrasonicOptions, "ultrasonic"),
    "video": Preprocessing(video.preprocess, video.VideoOptions, "video"),
    "vocalization": Preprocessing(vocalization.preprocess, vocalization.VocalizationOptions, "vocalization"),
    "trajectory": Preprocessing(trajectory.preprocess, trajectory.TrajectoryOptions, trajectory.SIGNAL),
}
