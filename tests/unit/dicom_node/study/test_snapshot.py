"""The digest of a snapshot depends on what the model gets, and on nothing else."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from support.received import NOON, classify

from dicom_node.contract.messages import InstanceRef, JobRequest, Product
from dicom_node.contract.slots import SequenceSlot
from dicom_node.study.snapshot import KnownSeries, digest, make_request, snapshot_series


def known(slot: str, uid: str, count: int = 4) -> KnownSeries:
    refs = tuple(InstanceRef(sop_instance_uid=f"{uid}.{n}", path=f"p/{uid}.{n}", sha256=f"{n}") for n in range(count))
    headers = {"SeriesDescription": slot, "NumberOfSeriesRelatedInstances": count}
    return KnownSeries(series_instance_uid=uid, headers=headers, instances=refs, positions_mm=(None,) * count)


STUDY = [known("BRAVO", "1"), known("FLAIR", "2"), known("localizer", "3")]


def request(series: list[KnownSeries]) -> JobRequest:
    return make_request(
        study_instance_uid="1.2",
        series=snapshot_series(series, classify([one.headers for one in series])),
        products=(Product.SR,),
        created_at=NOON,
        predecessor_job_id=None,
    )


@given(seed=st.integers(0, 1000))
def test_the_order_of_series_and_objects_changes_nothing(seed: int) -> None:
    chance = random.Random(seed)
    shuffled = [replace(one, instances=tuple(chance.sample(one.instances, len(one.instances)))) for one in STUDY]
    chance.shuffle(shuffled)
    assert request(shuffled) == request(STUDY)


def test_a_series_without_a_slot_changes_nothing_but_is_listed() -> None:
    more = request([*STUDY, known("localizer", "4")])
    assert more.job_id == request(STUDY).job_id
    assert [series.series_instance_uid for series in more.series] == ["1", "2", "3", "4"]


def test_another_object_slot_or_content_changes_the_digest() -> None:
    digests = {
        digest(request(series).series)
        for series in (
            STUDY,
            STUDY[1:],
            [known("BRAVO", "1", 5), *STUDY[1:]],
            [known("PRE_CUBE", "1"), *STUDY[1:]],
            [replace(STUDY[0], instances=(replace(STUDY[0].instances[0], sha256="x"),)), *STUDY[1:]],
        )
    }
    assert len(digests) == 5


def test_losers_are_listed_without_their_objects() -> None:
    made = request([known("BRAVO", "1", 4), known("BRAVO", "2", 9)])
    assert [(one.slot, one.chosen, len(one.instances)) for one in made.series] == [
        (SequenceSlot.BRAVO, False, 0),
        (SequenceSlot.BRAVO, True, 9),
    ]


def test_a_job_id_is_32_hex_digits_of_study_and_digest() -> None:
    made = request(STUDY)
    assert len(made.job_id) == 32
    assert int(made.job_id, 16)
    assert made.created_at == "2026-03-01T12:00:00+00:00"
