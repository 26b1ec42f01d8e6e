"""Where recordings come from: one class per dataset, and the table of them all."""

from __future__ import annotations

from neurofmx import tables
from neurofmx.datasets.amvoc_usv import AmvocUsv
from neurofmx.datasets.base import Dataset, Expected, Split
from neurofmx.datasets.cao2021 import Cao2021
from neurofmx.datasets.cifar10_subset import Cifar10Subset
from neurofmx.datasets.digits import Digits
from neurofmx.datasets.dlc_openfield import DlcOpenfield
from neurofmx.datasets.dlc_reach import DlcReach
from neurofmx.datasets.dyer2017 import Dyer2017
from neurofmx.datasets.eegbci import Eegbci
from neurofmx.datasets.fsdd import Fsdd
from neurofmx.datasets.haxby2001 import Haxby2001
from neurofmx.datasets.mnist_5k import Mnist5k
from neurofmx.datasets.peyrache_a2929 import PeyracheA2929
from neurofmx.datasets.sheintuch2022 import Sheintuch2022
from neurofmx.datasets.simulated import Simulated
from neurofmx.datasets.steinmetz2019 import Steinmetz2019
from neurofmx.datasets.tu2020 import Tu2020
from neurofmx.datasets.vocalpy import Vocalpy

__all__ = ["DATASETS", "Dataset", "Expected", "Split", "pick"]

_KINDS: tuple[type[Dataset], ...] = (
    AmvocUsv,
    Cao2021,
    Cifar10Subset,
    Digits,
    DlcOpenfield,
    DlcReach,
    Dyer2017,
    Eegbci,
    Fsdd,
    Haxby2001,
    Mnist5k,
    PeyracheA2929,
    Sheintuch2022,
    Simulated,
    Steinmetz2019,
    Tu2020,
    Vocalpy,
)
DATASETS: dict[str, type[Dataset]] = {kind.name: kind for kind in _KINDS}


def pick(name: str) -> type[Dataset]:
    """The dataset of that name; raises ValueError with the nearest name if there is none."""
    return tables.pick(DATASETS, name, "dataset")
