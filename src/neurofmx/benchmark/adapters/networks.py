"""A trained network: its decoder's states and answers, with the weights of each fold and seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from neurofmx.benchmark.adapters.decoder_stream import DecoderStream
from neurofmx.benchmark.adapters.stored import stored_answers
from neurofmx.benchmark.protocol import NotTrainedError
from neurofmx.evaluation.trained_network import trained_network
from neurofmx.models.decoding.decoder import Decoder
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.tokens import Sample, Tokens


class FrozenDecoder:
    """A decoder that is read and not trained.

    Args:
        decoder: Tokenizer, backbone and head, with its weights; on the CPU.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder.eval()
        self._read: tuple[Tensor, Tensor | None] | None = None
        # whatever stands before the head, these are the states that it answers from
        decoder.head.register_forward_pre_hook(self._keep, with_kwargs=True)

    def __call__(self, sample: Sample) -> Tokens:
        """States that the head reads, `(B, N, D)`, with their mask."""
        self.decoder(sample)
        assert self._read is not None
        (states, mask), self._read = self._read, None
        return Tokens(states, mask, states.new_zeros(states.shape[1]))

    def answer(self, sample: Sample) -> np.ndarray:
        """Outputs of the head, in the target's unit."""
        return self.decoder.predict(sample)

    def stream(self, windows: Windows) -> DecoderStream:
        """The same, sample by sample."""
        return DecoderStream(self.decoder, patch=windows.patch, rate=windows.rate)

    def _keep(self, head: Any, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        """Remember what the head is given."""
        states, *rest = given
        self._read = states, rest[0] if rest else named.get("mask")


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """One network over all datasets that it was trained on.

    Args:
        name: Of the model, such as `lstm`; its folder under each dataset.
        seeds: Seeds it was trained with.
        checkpoints: Folder with `<dataset>/<name>/settings.json` and `best_fold<k>_seed<s>.safetensors`.
        scores: Folder with `<dataset>/<name>/answers.h5`; None to ask again.
        pretrained_on: Recordings it was pretrained on, as `foundation.held_out.Seen` or its facts.
    """

    name: str
    seeds: Sequence[int]
    checkpoints: Path = Path("data/checkpoints")
    scores: Path | None = None
    pretrained_on: Iterable[Any] = field(default=())

    def __call__(self, sample: Sample) -> Tokens:
        """Not without weights.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"{self.name} has weights for each fold: call prepare first")

    def prepare(self, windows: Windows, *, fold: int, seed: int) -> FrozenDecoder:
        """The decoder with the best weights of a fold and seed; looks at no answer but through those weights.

        Raises:
            FileNotFoundError: If it was not trained.
            NotTrainedError: If the weights are for other windows.
        """
        try:
            folder = self.checkpoints / windows.dataset / self.name
            return FrozenDecoder(trained_network(folder, windows, fold=fold, seed=seed))
        except ValueError as error:
            raise NotTrainedError(str(error)) from error

    def stored_answers(self, windows: Windows) -> np.ndarray | None:
        """Answers that the evaluate stage kept."""
        return stored_answers(self.scores, windows, self.name, seeds=len(self.seeds))
