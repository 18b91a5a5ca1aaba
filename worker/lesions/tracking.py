"""Which lesion is which across the results of one study: tracking UIDs (PS3.3 C.8.20.2, PS3.16 TID 1411).

Called by describe. Pure. A late series gives a new result with new lesion numbers; a lesion that overlaps one of the
predecessor's keeps that one's tracking UID and name.

The law, decided greedily from the greatest overlap down:
- overlap is the volume that both share, by voxel centres; it counts from `SHARED_FRACTION` of the smaller one up,
  so that a touching neighbour takes no name;
- each old name goes to one new lesion at most, each new lesion takes one old name at most;
- split: the part with the greatest overlap keeps the name, the others are new;
- merge: the whole takes the name of the old lesion with which it shares most; the other names retire;
- a retired name is never given again;
- where the frames of reference differ, millimetres do not compare: all lesions are new.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.lesions.components import LesionMap
from worker.results.uids import derive_uid

SHARED_FRACTION = 0.1
_PREFIX = "BM-"


@dataclass(frozen=True, kw_only=True)
class Track:
    """The name of one lesion through all results of a study."""

    uid: str
    id: str
    """Human readable: BM-1, BM-2, ..."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LesionRecord:
    """The lesions of a result as the next result of the study needs them."""

    lesions: LesionMap
    tracks: tuple[Track, ...]
    """In the order of the lesion numbers."""
    names_given: int
    """How many names the study has used so far, the retired ones included."""
    frame_of_reference_uid: str


def track_lesions(
    lesions: LesionMap,
    *,
    study_instance_uid: str,
    snapshot_digest: str,
    frame_of_reference_uid: str,
    previous: LesionRecord | None = None,
) -> LesionRecord:
    """Name the lesions, and keep the names of `previous` where lesions overlap."""
    kept: dict[int, Track] = {}
    names_given = 0
    if previous is not None:
        names_given = previous.names_given
        if previous.frame_of_reference_uid == frame_of_reference_uid:
            matches = _matches(lesions, previous.lesions)
            kept = {new: previous.tracks[old - 1] for new, old in matches.items()}
    tracks = []
    for number in range(1, lesions.count + 1):
        if number not in kept:
            names_given += 1
            uid = derive_uid(study_instance_uid, snapshot_digest, "lesion", str(names_given))
            kept[number] = Track(uid=uid, id=f"{_PREFIX}{names_given}")
        tracks.append(kept[number])
    return LesionRecord(
        lesions=lesions,
        tracks=tuple(tracks),
        names_given=names_given,
        frame_of_reference_uid=frame_of_reference_uid,
    )


def _matches(new: LesionMap, old: LesionMap) -> dict[int, int]:
    """New number -> old number, one to one, the greatest overlaps first."""
    if new.count == 0 or old.count == 0:
        return {}
    shared_mm3 = np.maximum(_shared_mm3(new, old), _shared_mm3(old, new).T)
    smaller_mm3 = np.minimum(_volumes_mm3(new)[:, None], _volumes_mm3(old)[None, :])
    candidates = np.argwhere((shared_mm3 > 0) & (shared_mm3 >= SHARED_FRACTION * smaller_mm3))
    matches: dict[int, int] = {}
    for n, o in sorted(candidates.tolist(), key=lambda pair: (-shared_mm3[pair[0], pair[1]], pair)):
        if n + 1 not in matches and o + 1 not in matches.values():
            matches[n + 1] = o + 1
    return matches


def _shared_mm3(one: LesionMap, other: LesionMap) -> NDArray[np.float64]:
    """(one.count, other.count): volume of `one`'s voxels whose centre lies in a lesion of `other`."""
    voxels_zyx = np.argwhere(one.labels)
    numbers = one.labels[tuple(voxels_zyx.T)]
    others = _label_at(other, one.grid.to_mm(voxels_zyx))
    counts = np.zeros((one.count + 1, other.count + 1))
    np.add.at(counts, (numbers, others), 1.0)
    return counts[1:, 1:] * one.grid.voxel_volume_mm3


def _label_at(lesions: LesionMap, points_mm: NDArray[np.float64]) -> NDArray[np.uint16]:
    """The label at each point (N, 3); 0 outside the grid."""
    index = np.rint(lesions.grid.to_index(points_mm)).astype(np.int64)
    inside = np.all((index >= 0) & (index < np.array(lesions.grid.shape_zyx)), axis=1)
    found = np.zeros(len(points_mm), dtype=np.uint16)
    found[inside] = lesions.labels[tuple(index[inside].T)]
    return found


def _volumes_mm3(lesions: LesionMap) -> NDArray[np.float64]:
    voxels = np.bincount(lesions.labels.ravel(), minlength=lesions.count + 1)[1:]
    return voxels.astype(np.float64) * lesions.grid.voxel_volume_mm3
