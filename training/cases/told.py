"""What became of the patients of a data set, in the lines that its user is told at the end.

Called by training/prepare. Knows names and sequences; no images.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dicom_node.contract.slots import SequenceSlot
from training.cases.challenge import unread_note

SHOWN = 5
"""Of names in a line."""


@dataclass(kw_only=True)
class Told:
    """Names of patients by what became of them; each stands once, those of `empty` in `written` too."""

    written: dict[str, tuple[bool, ...]] = field(default_factory=dict)
    """And which sequences are there, as in `SequenceSlot`."""
    empty: list[str] = field(default_factory=list)
    """Written with a mask that holds no lesion."""
    without_truth: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unread: set[int] = field(default_factory=set)
    """Labels of masks that were not taken."""

    def lines(self, sought: str) -> Iterator[str]:
        """What is to be said; `sought` is what a mask is called."""
        if self.unread:
            yield unread_note(self.unread)
        if self.without_truth:
            total = len(self.written) + len(self.without_truth) + len(self.refused)
            missing = f"{len(self.without_truth)} of {total} patients have no mask and are not written"
            yield f"{missing}: {_some(self.without_truth)} (looked for {sought})"
        if self.empty:
            yield self._empty()
        yield self.count() + self._sequences()

    def count(self) -> str:
        """How many are written."""
        return f"{len(self.written)} patient{'' if len(self.written) == 1 else 's'} written"

    def _empty(self) -> str:
        if len(self.empty) == len(self.written):
            return (
                "warning: no mask holds a lesion, so there is none to learn from; --labels chooses what counts as one"
            )
        return f"{len(self.empty)} of {len(self.written)} patients have an empty mask: {_some(self.empty)}"

    def _sequences(self) -> str:
        if not self.written:
            return ""
        whole = sum(all(here) for here in self.written.values())
        absent = Counter(
            slot
            for present in self.written.values()
            for slot, here in zip(SequenceSlot, present, strict=True)
            if not here
        )
        without = ", ".join(f"without {slot} {absent[slot]}" for slot in SequenceSlot if absent[slot])
        return f", {whole or 'none'} with all four sequences" + (f"; {without}" if without else "")


def _some(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
