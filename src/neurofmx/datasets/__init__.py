"""Where recordings come from: one class per dataset, and the table of them all."""

from __future__ import annotations

from neurofmx import tables
from neurofmx.datasets.ajile12 import Ajile12
from neurofmx.datasets.allen_2p import Allen2p
from neurofmx.datasets.allen_neuropixels_lfp import AllenNeuropixelsLfp
from neurofmx.datasets.base import Dataset, Expected, Split
from neurofmx.datasets.bids import Bids
from neurofmx.datasets.bycycle_lfp import BycycleLfp
from neurofmx.datasets.capgmyo import Capgmyo
from neurofmx.datasets.digits import Digits
from neurofmx.datasets.edf import Edf
from neurofmx.datasets.eegbci import Eegbci
from neurofmx.datasets.gripforce_ieeg import GripforceIeeg
from neurofmx.datasets.haxby2001 import Haxby2001
from neurofmx.datasets.ibl import Ibl
from neurofmx.datasets.miller_ecog import MillerEcog
from neurofmx.datasets.mne_misc_ieeg import MneMiscIeeg
from neurofmx.datasets.myo_armband import MyoArmband
from neurofmx.datasets.nilearn_haxby import NilearnHaxby
from neurofmx.datasets.ninapro import Ninapro
from neurofmx.datasets.npz import Npz
from neurofmx.datasets.nwb import Nwb
from neurofmx.datasets.openneuro_fmri import OpenneuroFmri
from neurofmx.datasets.openneuro_ieeg import OpenneuroIeeg
from neurofmx.datasets.peyrache_a2929 import PeyracheA2929
from neurofmx.datasets.seizure_ieeg import SeizureIeeg
from neurofmx.datasets.simulated import Simulated

__all__ = ["DATASETS", "Dataset", "Expected", "Split", "pick"]

_KINDS: tuple[type[Dataset], ...] = (
    Ajile12,
    Allen2p,
    AllenNeuropixelsLfp,
    Bids,
    BycycleLfp,
    Capgmyo,
    Digits,
    Edf,
    Eegbci,
    GripforceIeeg,
    Haxby2001,
    Ibl,
    MillerEcog,
    MneMiscIeeg,
    MyoArmband,
    NilearnHaxby,
    Ninapro,
    Npz,
    Nwb,
    OpenneuroFmri,
    OpenneuroIeeg,
    PeyracheA2929,
    SeizureIeeg,
    Simulated,
)
DATASETS: dict[str, type[Dataset]] = {kind.name: kind for kind in _KINDS}


def pick(name: str) -> type[Dataset]:
    """The dataset of that name; raises ValueError with the nearest name if there is none."""
    return tables.pick(DATASETS, name, "dataset")
