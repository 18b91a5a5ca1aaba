"""BraTS-METS, UCSF-BMSR and BIDS layouts, as downloaded. Where a set does not say whether post-Gd T1 is a gradient or a
spin echo, the caller says which slot it stands for.

BraTS-METS: `BraTS-MET-00086-000/BraTS-MET-00086-000-{t1n,t1c,t2w,t2f,seg}.nii.gz`; 1 necrosis, 2 oedema, 3 enhancing,
4 cavity.
BraTS 2018: `Brats18_X/Brats18_X_{t1,t1ce,t2,flair,seg}.nii.gz`; 1 necrosis, 2 oedema, 4 enhancing.
UCSF-BMSR: `100101A/100101A_{T1pre,T1post,FLAIR,seg}.nii.gz`.
BIDS: `sub-X/[ses-Y/]anat/sub-X[_ce-...]_{T1w,FLAIR}.nii.gz`.

A person may have several examinations, each a case: 100101A and 100101B, BraTS-MET-00086-000 and -001, sessions.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dicom_node.contract.slots import SequenceSlot
from training.cases.case import EVERY_LABEL, LESION, CaseError, CaseFiles

TUMOUR_CORE = (1, 3)
"""BraTS-METS: necrosis and enhancing tumour, what the paper's radiologists outline."""
TUMOUR_CORE_2018 = (1, 4)


@dataclass(frozen=True, kw_only=True)
class SlotChoice:
    """What T1 images and the labels of masks stand for where a set does not say."""

    post: SequenceSlot = SequenceSlot.BRAVO
    """Post-Gd T1: BRAVO (gradient echo) or POST_CUBE (spin echo)."""
    use_pre: bool = True
    """Whether pre-Gd T1 is given as PRE_CUBE."""
    labels: tuple[int, ...] | None = None
    """Labels of the mask that count as lesion, or `EVERY_LABEL`; None: the layout's own. `label_list` reads them."""

    def __post_init__(self) -> None:
        if self.post not in (SequenceSlot.BRAVO, SequenceSlot.POST_CUBE):
            raise CaseError("post-Gd T1 stands for BRAVO or POST_CUBE")


LABELS_HELP = "labels of the mask that count as lesion, as 1,3 or 255, or `all` but 0 (default: those of the layout)"


def unread_note(labels: Iterable[int]) -> str:
    """What to say of labels that stand in masks and were not asked for."""
    listed = ", ".join(str(label) for label in sorted(labels))
    return f"the masks hold the labels {listed} too, which were not taken as lesion; --labels chooses"


def label_list(text: str) -> tuple[int, ...]:
    """`SlotChoice.labels` as --labels takes it, type and help of that option: `1,3` or `all`. Raises ValueError."""
    if text == "all":
        return EVERY_LABEL
    labels = tuple(int(word) for word in text.split(","))
    if 0 in labels:
        raise ValueError("0 is what is no lesion")
    return labels


@dataclass(frozen=True, kw_only=True)
class Layout:
    """File name endings of one data set."""

    pre: tuple[str, ...]
    post: tuple[str, ...]
    flair: tuple[str, ...]
    mask: tuple[str, ...]
    labels: tuple[int, ...]
    other_labels: tuple[int, ...]
    examination: str
    """What a name holds after the person (a regular expression)."""


BRATS_METS = Layout(
    pre=("-t1n",),
    post=("-t1c",),
    flair=("-t2f",),
    mask=("-seg",),
    labels=TUMOUR_CORE,
    other_labels=(2, 4),
    examination=r"(?<=\d)-\d{3}",
)
BRATS_2018 = Layout(
    pre=("_t1",),
    post=("_t1ce",),
    flair=("_flair",),
    mask=("_seg",),
    labels=TUMOUR_CORE_2018,
    other_labels=(2,),
    examination="",
)
UCSF = Layout(
    pre=("_T1pre",),
    post=("_T1post",),
    flair=("_FLAIR",),
    mask=("_seg",),
    labels=LESION,
    other_labels=(),
    examination=r"(?<=\d)[A-Z]",
)
BIDS_GD = "_ce-"
"""The entity of a T1w with contrast."""
BIDS_T1, BIDS_FLAIR = "_T1w", "_FLAIR"
BIDS_MASKS = ("_mask", "_dseg", "_seg")
BIDS_LABELS = LESION


def list_brats(root: Path, choice: SlotChoice) -> list[CaseFiles]:
    """Cases of BraTS-METS or BraTS 2018 below `root`; each folder tells by its file names which it is."""
    found = [case for layout in (BRATS_METS, BRATS_2018) for case in _list(root, layout, choice)]
    return _some(found, root, "*-t1c.nii.gz or *_t1ce.nii.gz")


def list_ucsf(root: Path, choice: SlotChoice) -> list[CaseFiles]:
    """Cases of UCSF-BMSR below `root`."""
    return _some(_list(root, UCSF, choice), root, "*_T1post.nii.gz")


def list_bids(root: Path, choice: SlotChoice) -> list[CaseFiles]:
    """Subjects of a BIDS data set: post-Gd T1w carries the entity `ce-`; masks lie in derivatives or beside them.

    Where several runs are there the first is taken; a mask of the brain (`desc-brain_mask`) is none of lesions.
    """
    found = []
    folders = [path for path in root.rglob("anat") if path.is_dir()]
    for anatomy in sorted(path for path in folders if "derivatives" not in path.relative_to(root).parts):
        t1 = _ending(anatomy, BIDS_T1)
        post = [path for path in t1 if BIDS_GD in path.name]
        pre = [path for path in t1 if BIDS_GD not in path.name]
        flair = _ending(anatomy, BIDS_FLAIR)
        sequences = _slots(choice, _first(pre), _first(post), _first(flair))
        if sequences:
            subject = next(iter(sequences.values())).name.split("_")[0]
            found.append(
                CaseFiles(
                    name="_".join(anatomy.relative_to(root).parts[:-1]) or subject,
                    subject=subject,
                    sequences=sequences,
                    mask=_bids_mask(root, anatomy),
                    lesion_labels=_labels(choice, BIDS_LABELS),
                )
            )
    return _some(found, root, "sub-*/anat/*_T1w.nii.gz")


def _bids_mask(root: Path, anatomy: Path) -> Path | None:
    places = [anatomy, *(root / "derivatives").glob(f"*/{anatomy.relative_to(root)}")]
    found = [path for place in places for ending in BIDS_MASKS for path in _ending(place, ending)]
    return _first([path for path in found if "brain" not in path.name])


def _ending(folder: Path, ending: str) -> list[Path]:
    return sorted(folder.glob(f"*{ending}.nii*"))


def _list(root: Path, layout: Layout, choice: SlotChoice) -> list[CaseFiles]:
    found = []
    for post in _matching(root, layout.post):
        stem = _stem(post)
        name = next(stem.removesuffix(ending) for ending in layout.post if stem.endswith(ending))
        beside = {_stem(path): path for path in post.parent.glob(f"{name}*.nii*")}
        pick = _picker(beside, name)
        sequences = _slots(choice, pick(layout.pre), post, pick(layout.flair))
        found.append(
            CaseFiles(
                name=name,
                subject=re.sub(f"{layout.examination}$", "", name),
                sequences=sequences,
                mask=pick(layout.mask),
                lesion_labels=_labels(choice, layout.labels),
                other_labels=layout.other_labels,
            )
        )
    return found


def _labels(choice: SlotChoice, own: tuple[int, ...]) -> tuple[int, ...]:
    return own if choice.labels is None else choice.labels


def _picker(beside: Mapping[str, Path], name: str) -> Callable[[tuple[str, ...]], Path | None]:
    return lambda endings: next((beside[name + ending] for ending in endings if name + ending in beside), None)


def _slots(choice: SlotChoice, pre: Path | None, post: Path | None, flair: Path | None) -> dict[SequenceSlot, Path]:
    wanted = {
        choice.post: post,
        SequenceSlot.PRE_CUBE: pre if choice.use_pre else None,
        SequenceSlot.FLAIR: flair,
    }
    return {slot: wanted[slot] for slot in SequenceSlot if wanted.get(slot) is not None}  # type: ignore[misc]


def _matching(root: Path, endings: tuple[str, ...]) -> list[Path]:
    return sorted(path for ending in endings for path in root.rglob(f"*{ending}.nii*"))


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _first(paths: list[Path]) -> Path | None:
    return paths[0] if paths else None


def _some(found: list[CaseFiles], root: Path, wanted: str) -> list[CaseFiles]:
    if not found:
        raise CaseError(f"{root}: no case of this layout ({wanted})")
    return found
