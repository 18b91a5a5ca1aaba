"""The four sequence slots of the ILD model, in the order of its input channels.

Grøvik et al. 2021 (npj Digital Medicine), Methods and Fig. 4: BRAVO, pre-Gd CUBE, post-Gd CUBE, FLAIR.
"""

from enum import StrEnum


class SequenceSlot(StrEnum):
    """One input sequence of the model. Iteration order is the order of the channels."""

    BRAVO = "BRAVO"
    """Post-Gd T1-weighted 3D gradient echo (BRAVO, MPRAGE, IR-FSPGR, 3D TFE/FFE)."""
    PRE_CUBE = "PRE_CUBE"
    """Pre-Gd T1-weighted 3D spin echo (CUBE, SPACE, VISTA, BrainView)."""
    POST_CUBE = "POST_CUBE"
    """Post-Gd T1-weighted 3D spin echo."""
    FLAIR = "FLAIR"
    """T2-weighted FLAIR; 2D serves when there is no 3D one."""

    @property
    def label(self) -> str:
        """The name as a radiologist reads it in a series description."""
        return _LABELS[self]


_LABELS = {
    SequenceSlot.BRAVO: "BRAVO",
    SequenceSlot.PRE_CUBE: "pre CUBE",
    SequenceSlot.POST_CUBE: "post CUBE",
    SequenceSlot.FLAIR: "FLAIR",
}

REFERENCE_ORDER = (SequenceSlot.BRAVO, SequenceSlot.POST_CUBE, SequenceSlot.PRE_CUBE, SequenceSlot.FLAIR)
"""Which present slot gives the grid that the others are registered to (paper, Methods: BRAVO, else post-Gd CUBE)."""
