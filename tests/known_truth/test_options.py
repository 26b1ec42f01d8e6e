"""Settings of the comparison: what cannot be is refused, and the branch adds its loss to those of the pretraining."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from neurofmx.foundation.options import PretrainOptions
from neurofmx.known_truth.options import KnownTruthOptions


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seeds": [1]}, "at least 2 items"),
        ({"seeds": [1, 1]}, "names one twice"),
        ({"noise": 0.0}, "greater than 0"),
        ({"pretrain": {"step": 3}}, "step"),
        ({"pretrain": {"losses": {"reconstruction": 1.0, "sessions": 1.0}}}, "adds it, see `branch`"),
        ({"particles": 1}, "greater than or equal to 10"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        KnownTruthOptions(**given)


def test_own_values_take_the_place_of_the_sections_and_the_branch_is_added() -> None:
    section = PretrainOptions(batch_size=16, losses={"reconstruction": 2.0})
    options = KnownTruthOptions(pretrain={"steps": 7}, branch=0.4)
    plain, branch = (options.pretraining(section, branch=each) for each in (False, True))
    assert (plain.batch_size, plain.steps, plain.losses) == (16, 7, {"reconstruction": 2.0})
    assert branch == plain.model_copy(update={"losses": {"reconstruction": 2.0, "sessions": 0.4}})
