"""Where recordings come from: one class per dataset, and the table of them all."""

from __future__ import annotations

from neurofmx import tables
from neurofmx.datasets.base import Dataset, Expected, Split
from neurofmx.datasets.bycycle_lfp import BycycleLfp
from neurofmx.datasets.cao2021 import Cao2021
from neurofmx.datasets.digits import Digits
from neurofmx.datasets.dyer2017 import Dyer2017
from neurofmx.datasets.eegbci import Eegbci
from neurofmx.datasets.gripforce_ieeg import GripforceIeeg
from neurofmx.datasets.haxby2001 import Haxby2001
from neurofmx.datasets.mne_misc_ieeg import MneMiscIeeg
from neurofmx.datasets.myo_armband import MyoArmband
from neurofmx.datasets.peyrache_a2929 import PeyracheA2929
from neurofmx.datasets.sheintuch2022 import Sheintuch2022
from neurofmx.datasets.simulated import Simulated
from neurofmx.datasets.steinmetz2019 import Steinmetz2019
from neurofmx.datasets.tu2020 import Tu2020

__all__ = ["DATASETS", "Dataset", "Expected", "Split", "pick"]

_KINDS: tuple[type[Dataset], ...] = (
    BycycleLfp,
    Cao2021,
    Digits,
    Dyer2017,
    Eegbci,
    GripforceIeeg,
    Haxby2001,
    MneMiscIeeg,
    MyoArmband,
    PeyracheA2929,
    Sheintuch2022,
    Simulated,
    Steinmetz2019,
    Tu2020,
)
DATASETS: dict[str, type[Dataset]] = {kind.name: kind for kind in _KINDS}


def pick(name: str) -> type[Dataset]:
    """The dataset of that name; raises ValueError with the nearest name if there is none."""
    return tables.pick(DATASETS, name, "dataset")
