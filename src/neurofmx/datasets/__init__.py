"""Where recordings come from: one class per dataset, and the table of them all."""

from __future__ import annotations

from neurofmx import tables
from neurofmx.datasets.base import Dataset, Expected, Split
from neurofmx.datasets.bycycle_lfp import BycycleLfp
from neurofmx.datasets.digits import Digits
from neurofmx.datasets.eegbci import Eegbci
from neurofmx.datasets.gripforce_ieeg import GripforceIeeg
from neurofmx.datasets.haxby2001 import Haxby2001
from neurofmx.datasets.mne_misc_ieeg import MneMiscIeeg
from neurofmx.datasets.mujoco import Mujoco
from neurofmx.datasets.myo_armband import MyoArmband
from neurofmx.datasets.peyrache_a2929 import PeyracheA2929
from neurofmx.datasets.sarcos import Sarcos
from neurofmx.datasets.scitos import Scitos
from neurofmx.datasets.simulated import Simulated
from neurofmx.datasets.tiny_shakespeare import TinyShakespeare
from neurofmx.datasets.wikitext2 import Wikitext2

__all__ = ["DATASETS", "Dataset", "Expected", "Split", "pick"]

_KINDS: tuple[type[Dataset], ...] = (
    BycycleLfp,
    Digits,
    Eegbci,
    GripforceIeeg,
    Haxby2001,
    MneMiscIeeg,
    MyoArmband,
    Mujoco,
    PeyracheA2929,
    Sarcos,
    Scitos,
    Simulated,
    TinyShakespeare,
    Wikitext2,
)
DATASETS: dict[str, type[Dataset]] = {kind.name: kind for kind in _KINDS}


def pick(name: str) -> type[Dataset]:
    """The dataset of that name; raises ValueError with the nearest name if there is none."""
    return tables.pick(DATASETS, name, "dataset")
