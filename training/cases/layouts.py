"""The layouts of data sets, told to people: the table of --help, and what a mask is called where none was found.

Made of the readers' own names and labels, so that help and readers cannot differ. Called by training/prepare and
training/evaluate.
"""

from collections.abc import Mapping
from textwrap import fill

from dicom_node.contract.slots import SequenceSlot
from training.cases import brainmetshare, challenge
from training.cases.case import EVERY_LABEL

KINDS = ("cache", "brainmetshare", "brainmetshare-png", "brats", "ucsf", "bids")
_HEADS = ("layout", "post-Gd T1", "pre-Gd T1", "FLAIR", "mask", "lesion")


def _own_slots(kind: str, names: Mapping[SequenceSlot, str], suffix: str) -> tuple[str, ...]:
    """BrainMetShare has both post-Gd T1."""
    post = f"{names[SequenceSlot.BRAVO]}{suffix}, {names[SequenceSlot.POST_CUBE]}{suffix}"
    pre, flair = (names[slot] + suffix for slot in (SequenceSlot.PRE_CUBE, SequenceSlot.FLAIR))
    return kind, post, pre, flair, brainmetshare.MASK + suffix, _listed(brainmetshare.LABELS)


def _by_endings(kind: str, layout: challenge.Layout) -> tuple[str, ...]:
    parts = (layout.post, layout.pre, layout.flair, layout.mask)
    return kind, *(", ".join(f"*{ending}" for ending in endings) for endings in parts), _listed(layout.labels)


def _listed(labels: tuple[int, ...]) -> str:
    return "all but 0" if labels == EVERY_LABEL else ", ".join(str(label) for label in labels)


_ROWS = (
    _own_slots("brainmetshare", brainmetshare.NIFTI_NAMES, ""),
    _own_slots("brainmetshare-png", brainmetshare.PNG_FOLDERS, "/"),
    _by_endings("brats", challenge.BRATS_METS),
    _by_endings("brats", challenge.BRATS_2018),
    _by_endings("ucsf", challenge.UCSF),
    (
        "bids",
        f"*{challenge.BIDS_GD}*{challenge.BIDS_T1}",
        f"*{challenge.BIDS_T1}",
        f"*{challenge.BIDS_FLAIR}",
        ", ".join(f"*{ending}" for ending in challenge.BIDS_MASKS),
        _listed(challenge.BIDS_LABELS),
    ),
)


def _aligned() -> str:
    rows = (_HEADS, *_ROWS)
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"  {line.rstrip()}" for line in lines)


_BRAVO, _SPIN_ECHO = (brainmetshare.NIFTI_NAMES[slot] for slot in (SequenceSlot.BRAVO, SequenceSlot.POST_CUBE))
_NOTES = (
    f"They lie at any depth below DIR, a patient's files in one folder ({brainmetshare.PATIENTS}/ for brainmetshare, "
    "sub-*/[ses-*/]anat/ for bids, with masks there or under the same path in derivatives/*/), and end in .nii.gz or "
    ".nii (brainmetshare-png: folders of .png slices). brats and ucsf know a patient by its post-Gd T1; any other "
    "sequence may be missing. Lesion: the labels of the mask that count as such, unless --labels says others.",
    f"Post-Gd T1 stands for {challenge.SlotChoice().post} (gradient echo) unless --post-gd says otherwise; in "
    f"brainmetshare {_BRAVO} is BRAVO and {_SPIN_ECHO} POST_CUBE (spin echo). Pre-Gd T1 is PRE_CUBE.",
)
TABLE = "\n\n".join(
    (
        f"layouts of --cases and the names of their files:\n{_aligned()}\n"
        "  cache              DIR/NAME/{stack,mask}.npy, as training.prepare and training.cohort cache write",
        *(fill(note, 100) for note in _NOTES),
    )
)
"""For the end of --help; it is to be shown as it stands (argparse.RawDescriptionHelpFormatter)."""


def mask_sought(kind: str) -> str:
    """Under which names a patient's mask is looked for, and where: `seg.nii.gz beside the sequences`."""
    masks = [mask for row in _ROWS if row[0] == kind for mask in row[4].split(", ")]
    files = " or ".join(f"{mask}*.png" if mask.endswith("/") else f"{mask}.nii.gz" for mask in masks) or "mask.npy"
    return f"{files} beside the sequences{' or in derivatives/*/' if kind == 'bids' else ''}"
