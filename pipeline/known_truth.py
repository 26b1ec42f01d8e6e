"""Pretrain the multimodal model on simulated sessions, and hold it against what their known truth allows."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from _stage import Params, kept, run, write_json
from neurofmx.atomic import atomic
from neurofmx.known_truth.report import markdown
from neurofmx.models.foundation.config import NeurofmxConfig

PLAIN, BRANCH = "without a domain branch", "with a domain branch"


def main(params: Params, name: str) -> None:
    """Write metrics/known_truth/NAME.json, .md and .png, and the weights to data/known_truth/NAME."""
    from neurofmx.known_truth.figure import known_truth_figure
    from neurofmx.known_truth.material import material
    from neurofmx.known_truth.sessions import simulate
    from neurofmx.known_truth.training import pretrain_each
    from neurofmx.training.pretrained import of_seed

    section, config = params.known_truth, params.named("neurofmx").config
    assert isinstance(config, NeurofmxConfig)
    out, weights = Path("metrics/known_truth"), Path("data/known_truth") / name
    if name not in section.names:
        raise ValueError(f"known_truth.names={list(section.names)} has no {name}; add it")
    how = {"minutes": section.minutes, "units": section.units, "noise": section.noise}
    made = material([simulate(seed=seed, **how) for seed in section.seeds])
    options = {
        what: section.pretraining(params.pretrain, branch=branch) for what, branch in ((PLAIN, False), (BRANCH, True))
    }
    seeds = params.evaluate.seeds
    homes = pretrain_each(made, config, options, seeds=seeds, keep=kept(), workers=section.workers)
    result = {"rows": [len(part) for part in made.parts], "seeds": list(seeds), **scored(params, made, homes)}
    write_json(out / f"{name}.json", result)
    with atomic(out / f"{name}.md") as part:
        part.write_text(markdown(result))
    known_truth_figure(result["lines"], out / f"{name}.png")
    shutil.rmtree(weights, ignore_errors=True)
    for what, by_seed in homes.items():
        (weights / what.split()[0]).mkdir(parents=True)
        for seed, home in by_seed.items():
            shutil.move(home, of_seed(weights / what.split()[0], seed))
    print(markdown(result))


def scored(params: Params, made: Any, homes: dict[str, dict[int, Path]]) -> dict[str, Any]:
    """All lines of the networks without a branch, and how well sessions are told from the states of both kinds."""
    from neurofmx.known_truth.asking import Inquiry, draws_of
    from neurofmx.known_truth.domains import domain_lines, true_states
    from neurofmx.known_truth.training import read_network

    section, config = params.known_truth, params.named("neurofmx").config
    assert isinstance(config, NeurofmxConfig)
    asked = params.evaluate
    draws = draws_of(made.tested, seeds=len(asked.seeds), draws=asked.draws, confidence=asked.confidence)
    networks = {
        what: [read_network(home, made, config) for home in by_seed.values()] for what, by_seed in homes.items()
    }
    first, second = (Inquiry(networks[what], draws) for what in (PLAIN, BRANCH))
    bayes = {"particles": section.particles, "seed": section.seeds[0]}
    decoded, beside = first.decoding(**bayes), second.decoding(**bayes, only_whole=True)
    ahead = section.pretraining(params.pretrain, branch=False).ahead_s
    lines = [*first.reconstruction(), *first.forecast(ahead), *decoded]
    states = {what: np.stack([one.means(made.tested) for one in each]) for what, each in networks.items()}
    domains = domain_lines(made.tested, states | {"the known latents": true_states(made, made.tested)}, draws)
    # what a branch takes from the states must not be the heading
    domains[0]["heading"], domains[1]["heading"] = decoded[0]["model"], beside[0]["model"]
    return {"lines": lines, "domains": domains}


if __name__ == "__main__":
    run(main, name="an entry of known_truth.names in params.yaml")
