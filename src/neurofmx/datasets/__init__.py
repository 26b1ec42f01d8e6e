"""Where recordings come from: one class per dataset, and the table of them all."""

from __future__ import annotations

from neurofmx import tables
from neurofmx.datasets.amvoc_usv import AmvocUsv
from neurofmx.datasets.base import Dataset, Expected, Split
from neurofmx.datasets.cifar10_subset import Cifar10Subset
from neurofmx.datasets.digits import Digits
from neurofmx.datasets.dlc_openfield import DlcOpenfield
from neurofmx.datasets.dlc_reach import DlcReach
from neurofmx.datasets.eegbci import Eegbci
from neurofmx.datasets.fsdd import Fsdd
from neurofmx.datasets.haxby2001 import Haxby2001
from neurofmx.datasets.mnist_5k import Mnist5k
from neurofmx.datasets.peyrache_a2929 import PeyracheA2929
from neurofmx.datasets.simulated import Simulated
from neurofmx.datasets.vocalpy import Vocalpy

__all__ = ["DATASETS", "Dataset", "Expected", "Split", "pick"]

_KINDS: tuple[type[Dataset], ...] = (
    AmvocUsv,
    Cifar10Subset,
    Digits,
    DlcOpenfield,
    DlcReach,
    Eegbci,
    Fsdd,
    Haxby2001,
    Mnist5k,
    PeyracheA2929,
    Simulated,
    Vocalpy,
)
DATASETS: dict[str, type[Dataset]] = {kind.name: kind for kind in _KINDS}


def pick(name: str) -> type[Dataset]:
    """The dataset of that name; raises ValueError with the nearest name if there is none."""
    return tables.pick(DATASETS, name, "dataset")
