"""A lesion keeps its tracking UID through superseding results, and no name is given twice."""

from collections.abc import Mapping

import numpy as np

from worker.lesions.components import LesionMap
from worker.lesions.tracking import LesionRecord, track_lesions
from worker.volume.geometry import Grid

Box = tuple[slice, slice, slice]
FRAME = "1.2.3"


def lesion_map(boxes: Mapping[int, Box], shape: tuple[int, int, int] = (12, 20, 20), step_mm: float = 1.0) -> LesionMap:
    labels = np.zeros(shape, dtype=np.uint16)
    for number, box in boxes.items():
        labels[box] = number
    grid = Grid(shape_zyx=shape, affine=np.diag([step_mm, step_mm, step_mm, 1.0]))
    return LesionMap(labels=labels, grid=grid, count=len(boxes))


def named(
    lesions: LesionMap, previous: LesionRecord | None = None, snapshot: str = "a", frame: str = FRAME
) -> LesionRecord:
    return track_lesions(
        lesions, study_instance_uid="1.9", snapshot_digest=snapshot, frame_of_reference_uid=frame, previous=previous
    )


def ids(record: LesionRecord) -> list[str]:
    return [track.id for track in record.tracks]


A = (slice(1, 4), slice(1, 4), slice(1, 4))
B = (slice(6, 9), slice(10, 14), slice(10, 14))
C = (slice(1, 3), slice(15, 17), slice(15, 17))


def test_the_first_result_names_its_lesions_in_order_and_the_same_twice() -> None:
    record = named(lesion_map({1: B, 2: A}))
    assert ids(record) == ["BM-1", "BM-2"]
    assert record.tracks == named(lesion_map({1: B, 2: A})).tracks
    assert len({track.uid for track in record.tracks}) == 2


def test_overlapping_lesions_keep_their_names_when_their_numbers_change() -> None:
    first = named(lesion_map({1: B, 2: A}))
    second = named(lesion_map({1: (slice(0, 6), slice(0, 6), slice(0, 6)), 2: B, 3: C}), first, snapshot="b")
    assert ids(second) == ["BM-2", "BM-1", "BM-3"]
    assert second.tracks[0].uid == first.tracks[1].uid
    assert second.tracks[2].uid not in {track.uid for track in first.tracks}


def test_of_a_split_lesion_the_greater_part_keeps_the_name() -> None:
    whole = named(lesion_map({1: (slice(2, 5), slice(2, 5), slice(2, 14))}))
    parts = {1: (slice(2, 5), slice(2, 5), slice(2, 9)), 2: (slice(2, 5), slice(2, 5), slice(10, 14))}
    assert ids(named(lesion_map(parts), whole, snapshot="b")) == ["BM-1", "BM-2"]


def test_a_merged_lesion_takes_the_name_of_the_greater_part_and_the_other_retires() -> None:
    parts = {1: (slice(2, 5), slice(2, 5), slice(10, 19)), 2: (slice(2, 5), slice(2, 5), slice(2, 7))}
    merged = named(lesion_map({1: (slice(2, 5), slice(2, 5), slice(2, 19))}), named(lesion_map(parts)), snapshot="b")
    assert ids(merged) == ["BM-1"]
    apart = {1: (slice(2, 5), slice(2, 5), slice(10, 19)), 2: (slice(8, 11), slice(2, 5), slice(2, 7))}
    assert ids(named(lesion_map(apart), merged, snapshot="c")) == ["BM-1", "BM-3"], "BM-2 is not given again"


def test_a_touching_neighbour_takes_no_name() -> None:
    first = named(lesion_map({1: (slice(2, 8), slice(2, 8), slice(2, 8))}))
    neighbour = lesion_map({1: (slice(2, 8), slice(2, 8), slice(8, 14))})
    neighbour.labels[2, 2, 7] = 1
    assert ids(named(neighbour, first, snapshot="b")) == ["BM-2"]


def test_lesions_match_across_grids_of_other_spacing_in_both_directions() -> None:
    fine = lesion_map({1: (slice(4, 6), slice(4, 6), slice(4, 6))})
    coarse = lesion_map({1: (slice(1, 2), slice(1, 2), slice(1, 2))}, shape=(4, 7, 7), step_mm=4.0)
    for old, new in ((fine, coarse), (coarse, fine)):
        first = named(old)
        assert named(new, first, snapshot="b").tracks == first.tracks


def test_in_another_frame_of_reference_all_lesions_are_new() -> None:
    first = named(lesion_map({1: A}))
    second = named(lesion_map({1: A}), first, snapshot="b", frame="1.2.4")
    assert ids(second) == ["BM-2"]


def test_a_negative_result_between_keeps_the_count_of_names() -> None:
    nothing = named(lesion_map({}), named(lesion_map({1: A})), snapshot="b")
    assert nothing.tracks == ()
    assert ids(named(lesion_map({1: B}), nothing, snapshot="c")) == ["BM-2"]
