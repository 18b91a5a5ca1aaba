"""What a result says of each slot: used, missing, rejected; a network of three sequences never "used" the fourth."""

from types import SimpleNamespace
from typing import Any

from dicom_node.contract.messages import JobRequest, Product, SlotState, SnapshotSeries
from dicom_node.contract.slots import SequenceSlot
from worker.align import UNREAD, Aligned, slot_uses

BRAVO, PRE, POST, FLAIR = SequenceSlot


def states(read: tuple[SequenceSlot, ...]) -> dict[SequenceSlot, tuple[SlotState, str]]:
    """A study with BRAVO (the reference), FLAIR and a post CUBE that could not be aligned; no pre CUBE."""
    series = tuple(
        SnapshotSeries(
            series_instance_uid=f"1.2.{number}", slot=slot, chosen=True, confidence=1.0, reasons=("2D FLAIR serves",),
            description="", instances=(),
        )
        for number, slot in enumerate((BRAVO, POST, FLAIR))
    )  # fmt: skip
    request = JobRequest(
        job_id="ab" * 16, study_instance_uid="1.2", snapshot_digest="d", created_at="2026-01-01T00:00:00+00:00",
        series=series, products=(Product.SEG,),
    )  # fmt: skip
    volume: Any = SimpleNamespace()
    aligned = Aligned(
        reference=BRAVO, volumes={BRAVO: volume, FLAIR: volume}, alignments={}, rejected={POST: "the head moved"}
    )
    return {use.slot: (use.state, use.reason) for use in slot_uses(request, aligned, read)}


def test_every_slot_has_its_state_and_reason() -> None:
    assert states(tuple(SequenceSlot)) == {
        BRAVO: (SlotState.USED, "2D FLAIR serves"),
        PRE: (SlotState.MISSING, "no series of this kind arrived"),
        POST: (SlotState.REJECTED, "the head moved"),
        FLAIR: (SlotState.USED, "2D FLAIR serves"),
    }


def test_what_the_network_does_not_read_is_not_used() -> None:
    """The comparator of the paper and a BRAVO: it may give the planes, and no more."""
    found = states((PRE, POST, FLAIR))
    assert found[BRAVO] == (SlotState.REJECTED, UNREAD)
    assert found[POST] == (SlotState.REJECTED, "the head moved")
    assert found[FLAIR][0] is SlotState.USED
