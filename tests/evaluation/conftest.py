"""Reports as `report` makes them, with scores made up for the layout of tables and figures."""

import pytest


def made_up(dataset: str, model: str, score: float, *, metric: str = "accuracy", spikes: float | None = None) -> dict:
    """One report; the linear model stands at 0.7."""
    return {
        "dataset": dataset,
        "model": model,
        "headline": metric,
        "seeds": [42, 43, 44],
        "score": score,
        "interval": {"low": score - 0.04, "high": score + 0.03, "confidence": 0.95, "draws": 2000},
        "chance": {metric: 0.125},
        "linear": 0.7,
        "difference": {"value": score - 0.7, "low": score - 0.74, "high": score - 0.67},
        "verdict": "wins" if score > 0.74 else "ties" if score > 0.67 else "loses",
        "parameters": 1234567,
        "train_seconds": 12.34,
        "peak_memory_mib": 410.2,
        "spikes_per_neuron_per_step": spikes,
    }


@pytest.fixture
def reports() -> list[dict]:
    """Two datasets, four models, in no order."""
    return [
        made_up("peyrache", "linear", 0.7, metric="r2"),
        made_up("haxby", "lstm", 0.6),
        made_up("haxby", "model", 0.75, spikes=0.1234),
        made_up("peyrache", "model", 0.69, metric="r2"),
        made_up("haxby", "linear", 0.7),
        made_up("haxby", "pca", 0.65),
    ]
