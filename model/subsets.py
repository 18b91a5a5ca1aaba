"""The 15 subsets of four sequences that a study can hold, and what each is called.

Called by training (thresholds and metrics of each subset) and by worker/inference (which of them a study is).
Knows no tensors and no DICOM.
"""

from itertools import product

from model.channels import SEQUENCES

Present = tuple[bool, bool, bool, bool]
"""One flag a sequence, in the order of the channels: does the study hold it."""


def all_subsets() -> tuple[Present, ...]:
    """The 15 subsets that are not empty, the whole first, then by falling size in the order of the channels."""
    subsets = [flags for flags in product((True, False), repeat=len(SEQUENCES)) if any(flags)]
    return tuple(sorted(subsets, key=lambda flags: -sum(flags)))  # type: ignore[arg-type]


def subset_name(present: tuple[bool, ...]) -> str:
    """The key of a subset in the model card, `BRAVO+FLAIR` say. Raises ValueError for none or a wrong number."""
    if len(present) != len(SEQUENCES) or not any(present):
        raise ValueError(f"a subset has {len(SEQUENCES)} flags, at least one of them true; got {present}")
    return "+".join(name for name, here in zip(SEQUENCES, present, strict=True) if here)
