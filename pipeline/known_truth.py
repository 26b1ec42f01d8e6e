"""Pretrain the multimodal model on simulated sessions, and hold it against what their known truth allows."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from _stage import Params, kept, run, write_json
from neurofmx.atomic import atomic
from neurofmx.known_truth.report import markdown
from neurofmx.models.foundation.config import NeurofmxConfig

PLAIN, BRANCH = "without a domain branch", "with a domain branch"


def main(params: Params, name: str) -> None:
    """Write metrics/known_truth/NAME.json, .md and .png, and the weights to data/known_truth/NAME."""
    from neurofmx.known_truth.asking import draws_of
    from neurofmx.known_truth.figure import known_truth_figure
    from neurofmx.known_truth.material import material
    from neurofmx.known_truth.sessions import simulate

    section, out = params.known_truth, Path("metrics/known_truth")
    if name not in section.names:
        raise ValueError(f"known_truth.names={list(section.names)} has no {name}; add it")
    how = {"minutes": section.minutes, "units": section.units, "noise": section.noise}
    made = material([simulate(seed=seed, **how) for seed in section.seeds])
    draws = draws_of(made.tested, draws=params.evaluate.draws, confidence=params.evaluate.confidence)
    with ExitStack() as finished:
        networks = pretrainings(params, name, made, finished)
        result = {"rows": [len(part) for part in made.parts], "seeds": list(section.seeds)}
        result |= scored(params, made, networks, draws)
        write_json(out / f"{name}.json", result)
        with atomic(out / f"{name}.md") as part:
            part.write_text(markdown(result))
        known_truth_figure(result["lines"], out / f"{name}.png")
    print(markdown(result))


def pretrainings(params: Params, name: str, made: Any, finished: ExitStack) -> dict[str, Any]:
    """The model pretrained without and with a domain branch, ready to be asked."""
    from neurofmx.known_truth.training import pretrained, save_windows

    section, config = params.known_truth, params.named("neurofmx").config
    assert isinstance(config, NeurofmxConfig)
    out, networks = Path("data/known_truth") / name, {}
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        files = save_windows(made, Path(folder))
        for branch, what, place in ((False, PLAIN, "plain"), (True, BRANCH, "branch")):
            options = section.pretraining(params.pretrain, branch=branch)
            where = {"out": out / place, "keep": kept(), "kept": finished}
            networks[what] = pretrained(made, files, config, options, **where)
    return networks


def scored(params: Params, made: Any, networks: dict[str, Any], draws: Any) -> dict[str, Any]:
    """All lines of the first network, and how well sessions are told from the states of both."""
    from neurofmx.known_truth.asking import Inquiry
    from neurofmx.known_truth.domains import domain_lines, true_states

    section = params.known_truth
    ahead = section.pretraining(params.pretrain, branch=False).ahead_s
    how = {"particles": section.particles, "seed": section.seeds[0]}
    inquiries = {what: Inquiry(asked, draws) for what, asked in networks.items()}
    first = inquiries[PLAIN]
    decoded = first.decoding(**how)
    lines = [*first.reconstruction(), *first.forecast(ahead), *decoded]
    states = {what: asked.means(made.tested) for what, asked in networks.items()}
    domains = domain_lines(made.tested, states | {"the known latents": true_states(made, made.tested)}, draws)
    # what a branch takes from the states must not be the heading
    domains[0]["heading"] = decoded[0]["model"]
    domains[1]["heading"] = inquiries[BRANCH].decoding(**how, only_whole=True)[0]["model"]
    return {"lines": lines, "domains": domains}


if __name__ == "__main__":
    run(main, name="an entry of known_truth.names in params.yaml")
