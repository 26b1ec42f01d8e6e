"""Every model by name: the class of its settings and the class that decodes. Importing it loads no network."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel

from neurofmx.models.configs import LstmConfig, MambaConfig, TransformerConfig
from neurofmx.models.fitted.linear import LinearConfig
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.pca import PcaConfig
from neurofmx.recordings.task import Task


class Family(NamedTuple):
    """One entry of `MODELS`.

    Args:
        config: Pydantic class of the settings, section `model` or `models.<name>` of params.yaml.
        network: `module:class` of a backbone that is trained by gradient descent, or empty.
        classical: `module:class` of a decoder that is fitted in closed form, or empty.
        text: `module:class` of the one in its place where the next token is asked for, or empty.
        build: `module:function` that puts together the decoder of a network with more than a backbone behind a
            tokenizer, called as `build(config, head, windows, fold=fold)`, or empty.
    """

    config: type[BaseModel]
    network: str = ""
    classical: str = ""
    text: str = ""
    build: str = ""

    def decoder(self, task: Task) -> str:
        """`module:class` of the decoder fitted in closed form for a task; raises ValueError if there is none."""
        found = self.text if task.kind == "next_token" else self.classical
        if not found:
            raise ValueError(f"this model cannot answer a {task.kind} task; leave it out of the models to compare with")
        return found


MODELS: dict[str, Family] = {
    "hybrid": Family(HybridConfig, network="neurofmx.models.hybrid.network:MambaLiquidSpikingNetwork"),
    "linear": Family(
        LinearConfig,
        classical="neurofmx.models.fitted.linear:LinearDecoder",
        text="neurofmx.models.fitted.ngram:NgramDecoder",
    ),
    "lstm": Family(LstmConfig, network="neurofmx.models.lstm:Lstm"),
    "mamba": Family(MambaConfig, network="neurofmx.models.mamba:MambaStack"),
    "neurofmx": Family(NeurofmxConfig, build="neurofmx.models.foundation.decoder:build_neurofmx"),
    "pca": Family(PcaConfig, classical="neurofmx.models.pca:PcaDecoder", text="neurofmx.models.pca:PcaTextDecoder"),
    "transformer": Family(TransformerConfig, network="neurofmx.models.transformer:Transformer"),
}
