"""Pretrained weights as they are: frozen, with new embeddings for the recordings that are asked about.

A recording that was not pretrained on brings channels of which the weights know nothing. The embeddings of its channels
and sessions are all that is learnt of a fold: parts of its training windows are hidden and asked for, as the
pretraining did. No answer is looked at, and every other number stays what it was.

Source:
    Azabou et al. (2023), A unified, scalable framework for neural population decoding, section 2.4 (embeddings of new
    units learnt with frozen weights).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurofmx.benchmark.protocol import NoStatesError
from neurofmx.foundation.mask_plans import mask
from neurofmx.foundation.options import MaskOptions
from neurofmx.losses.masked_reconstruction import masked_reconstruction
from neurofmx.models.configs import HeadConfig
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.foundation.decoder import NeuroFMxDecoder, build_neurofmx
from neurofmx.models.foundation.heads import NeuroFMxHeads
from neurofmx.models.foundation.readout import SignalReadout
from neurofmx.models.foundation.start import UNITS, begin
from neurofmx.models.foundation.targets import sample_times
from neurofmx.models.neurofmx import NeuralStates, NeuroFMx
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.multi_sample import MultiSample
from neurofmx.tokenizers.table import OWN, default_tokenizer
from neurofmx.tokenizers.tokens import Sample, Tokens
from neurofmx.training.pretrained import all_weights, load_pretrained, of_seed

STEPS, ROWS, RATE = 200, 64, 0.01  # steps that new embeddings are learnt in, windows of each, rate of Adam
BATCH = 256  # windows that are read at once
NEW = "new recordings"  # under which name the readout knows channels that were not pretrained on
READOUT = "heads.readout."  # under which the weights of the readout stand


class FrozenPretrained:
    """A pretrained model that is read and not trained.

    Args:
        model: Streams to states.
        readout: Its reconstruction.
        stream: Name of the stream in the model.
        asked: Name of the stream in the readout.
        offset: Where the first sample of a window lies from its anchor, s.
    """

    def __init__(self, model: NeuroFMx, readout: SignalReadout, *, stream: str, asked: str, offset: float) -> None:
        self.model, self.readout = model.eval(), readout.eval()
        self._stream, self._asked, self._offset = stream, asked, offset
        self.rate = model.streams[stream].layout.rate

    def __call__(self, sample: Sample) -> Tokens:
        """States `(B, K, D)` of whole windows, with their mask."""
        states, _ = self.model(self._batch(sample))
        return Tokens(states.states, states.mask, states.time[0])

    @torch.inference_mode()
    def reconstruct(self, sample: Sample, hidden: np.ndarray) -> Tensor:
        """All channels `(B, T, C)`, standardised; windows are read as if those that are `hidden (C,)` were absent."""
        gone = torch.as_tensor(np.asarray(hidden, bool))
        there = torch.ones(len(sample), len(gone), dtype=torch.bool) if sample.present is None else sample.present
        shown = replace(sample, present=there & ~gone)
        parts = [self._batch(shown[first : first + BATCH]) for first in range(0, len(sample), BATCH)]
        return torch.cat([self._told(self.model(part)[0], part) for part in parts])

    def learn(self, windows: Windows, fold: int, *, options: MaskOptions, seed: int) -> None:
        """Learn what may change, the new embeddings, from training windows of a fold."""
        weights = [each for part in (self.model, self.readout) for each in part.parameters() if each.requires_grad]
        train, generator = windows.fold(fold).train, torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(weights, lr=RATE)
        for _ in range(STEPS):
            rows = train[torch.randint(len(train), (ROWS,), generator=generator).numpy()]
            batch = self._batch(Sample.of(windows, fold, rows))
            masked = mask(batch, {self._stream: self.rate}, options, generator=generator)
            hidden = masked.hidden[self._stream]
            if bool(hidden.any()):
                states, _ = self.model(masked.batch, seen=masked.seen)
                said, whole = self._told(states, batch), batch.samples[self._stream].x
                optimizer.zero_grad()
                masked_reconstruction(said, whole.flatten(2), hidden=hidden).backward()
                optimizer.step()

    def _batch(self, sample: Sample) -> MultiSample:
        """Windows as rows of the stream, on the clock of their anchors."""
        session = sample.recording if self.model.streams[self._stream].layout.varied else None
        batch = MultiSample.single(self._stream, sample, session=session)
        batch.offset[self._stream] = torch.full((len(sample),), self._offset)
        return batch

    def _told(self, states: NeuralStates, batch: MultiSample) -> Tensor:
        """What the readout says of every sample (B, T, C)."""
        time = sample_times(batch, self._stream, rate=self.rate)
        return self.readout.reconstruct(states, self._asked, time, recording=batch.samples[self._stream].recording)


@dataclass(frozen=True, eq=False)
class PretrainedModel:
    """A pretraining over all datasets that its weights can read and have not seen; each seed asks weights of its own.

    Args:
        name: Of the model in results.
        folder: Folder with the weights of every seed, as the stage `pretrain` leaves it.
        streams: Pretrained stream to prefer for a dataset, such as `steinmetz2019/spikes`; else the first that fits.
    """

    name: str
    folder: Path
    streams: Mapping[str, str] = field(default_factory=dict)
    _read: dict[Path, tuple[dict[str, Tensor], dict[str, Any]]] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, sample: Sample) -> Tokens:
        """Not before a fold is chosen; raises TypeError."""
        raise TypeError(f"{self.name} learns embeddings of each fold's recordings: call prepare first")

    @property
    def pretrained_on(self) -> Sequence[Mapping[str, Any]]:
        """Recordings that the weights have seen; raises FileNotFoundError if there are none."""
        return self._held()[1]["seen"]

    def cannot(self, windows: Windows) -> str:
        """Why a dataset is not read: it is a text, or no pretrained stream is of its modality and shape."""
        if windows.tokens:
            return "it is a text, and pretraining reads measurements alone"
        known = sorted({each["modality"] for each in self._held()[1]["streams"].values()})
        if windows.modality not in known:
            return f"its modality is {windows.modality}, pretrained on was {', '.join(known)}"
        if self._begun(windows, 0) is None:
            return f"no pretrained stream of {windows.modality} has a tokenizer that reads its channels and patches"
        return ""

    def prepare(self, windows: Windows, *, fold: int, seed: int) -> FrozenPretrained:
        """The model with embeddings for the recordings of a fold; looks at no answer.

        Raises:
            FileNotFoundError: If nothing was pretrained with this seed.
            NoStatesError: If the windows cannot be read, or nothing of them can be hidden to learn from.
        """
        if (begun := self._begun(windows, fold, seed)) is None:
            raise NoStatesError(f"{self.name} does not read {windows.dataset}: {self.cannot(windows)}")
        try:
            options = MaskOptions(**self._held(seed)[1]["options"]["mask"])
            begun.learn(windows, fold, options=options, seed=seed)
        except ValueError as error:
            raise NoStatesError(f"{self.name} learns nothing of {windows.dataset}: {error}") from error
        return begun

    def _held(self, seed: int | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights and facts of a seed; None for the first one, as what they have seen is the same for all."""
        first = next((path.parent for path in all_weights(self.folder)), self.folder)
        folder = first if seed is None else of_seed(self.folder, seed)
        if folder not in self._read:
            self._read[folder] = load_pretrained(folder)
        return self._read[folder]

    def _begun(self, windows: Windows, fold: int, seed: int | None = None) -> FrozenPretrained | None:
        """The weights with first embeddings for the recordings of windows; None where no stream fits.

        Where recordings share their channels, those are read by their columns, which mean nothing to weights that
        have not met them: then the modality's tokenizer of channels with embeddings is tried as well.
        """
        usual = windows.tokenizer or default_tokenizer(windows.modality, windows.montage)
        with torch.random.fork_rng(devices=[]):
            for reader in dict.fromkeys((usual, OWN.get(windows.modality, usual))):
                read = windows if reader == usual else replace(windows, tokenizer=reader, tokenizer_options={})
                torch.manual_seed(seed or 0)
                if (taken := self._taken(read, fold, seed)) is not None:
                    return self._with_readout(*taken, windows, seed)
        return None

    def _taken(self, windows: Windows, fold: int, seed: int | None) -> tuple[NeuroFMxDecoder, str] | None:
        """A decoder that holds the weights, and the pretrained stream whose tokenizer it goes on with."""
        weights, facts = self._held(seed)
        config = NeurofmxConfig(**facts["config"] | {"step_s": facts["step_s"]})
        decoder = build_neurofmx(config, HeadConfig(), windows, fold=fold)
        what = {"modality": windows.modality, "channels": windows.channels}
        taken = begin(decoder, weights, facts, mode="probe", stream=self.streams.get(windows.dataset, ""), **what)
        return (decoder, taken.stream) if taken.stream else None

    def _with_readout(
        self, decoder: NeuroFMxDecoder, source: str, windows: Windows, seed: int | None
    ) -> FrozenPretrained:
        """The model and its readout, in which new embeddings alone may change."""
        weights, facts = self._held(seed)
        model, layout = decoder.backbone, decoder.backbone.streams[decoder.stream].layout
        if not layout.varied:  # recordings of the same channels are one session
            model.add_session(NEW)
            with torch.no_grad():
                model.sessions.vectors.copy_(weights["model.sessions.vectors"].mean(0, keepdim=True))
        readout = NeuroFMxHeads(model.config, step_s=facts["step_s"]).readout
        given = {name.removeprefix(READOUT): each for name, each in weights.items() if name.startswith(READOUT)}
        readout.load_state_dict(given)
        known = list(windows.channels) == facts["streams"][source]["channels"]
        same = known and windows.montage == "same" and windows.modality not in UNITS
        if not same:
            readout.add(NEW, channels=layout.channels, recordings=layout.recordings if layout.varied else 1)
            with torch.no_grad():
                (new,), (old,) = readout.streams.rows(NEW), readout.streams.rows(source)
                readout.streams.vectors[new] = readout.streams.vectors[old]
        readout.requires_grad_(False)
        readout.channels.vectors.requires_grad_(not same)  # those of pretrained channels are not asked, so they stay
        offset = float(np.median(windows.start - windows.anchor))
        return FrozenPretrained(model, readout, stream=decoder.stream, asked=source if same else NEW, offset=offset)
