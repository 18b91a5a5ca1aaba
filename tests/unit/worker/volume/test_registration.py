"""Series of one head are brought together within a millimetre, the same way each time; others are dropped."""

from types import MappingProxyType

import numpy as np
import pytest
import SimpleITK as sitk
from support.heads import GRID, axial_grid, rigid, shared_data, synthetic_head
from support.registration_pairs import mirrored, real_pairs

from dicom_node.contract.slots import SequenceSlot
from worker import align as align_module
from worker.align import align, aligned_to
from worker.inputs import Inputs
from worker.volume.alignment import Alignment
from worker.volume.geometry import SeriesVolume, Volume
from worker.volume.head import head_mask
from worker.volume.register import QUICK, THOROUGH, Plan, register
from worker.volume.resample import resample
from worker.volume.trust import check

ANEW = rigid((9.0, -14.0, 11.0), (7.0, -4.0, 9.0))
"""The patient lay down anew."""


@pytest.fixture(scope="module")
def fixed() -> Volume:
    return synthetic_head("BRAVO", seed=3)


@pytest.fixture(scope="module")
def moving() -> Volume:
    return synthetic_head("FLAIR", seed=3, moved=ANEW)


def error_mm(found: Alignment, truth: np.ndarray, head: Volume) -> float:
    """Mean over the head."""
    places = head.grid.to_mm(np.argwhere(head_mask(head))[::40])
    apart = (places @ found.transform[:3, :3].T + found.transform[:3, 3]) - (places @ truth[:3, :3].T + truth[:3, 3])
    return float(np.linalg.norm(apart, axis=1).mean())


def still(transform: np.ndarray) -> Alignment:
    moved = MappingProxyType({"translation_mm": 1.0, "rotation_degrees": 1.0})
    return Alignment(transform=transform, quality=moved, seconds=0.0)


@pytest.mark.parametrize("contrast", ["PRE_CUBE", "POST_CUBE", "FLAIR"])
@pytest.mark.parametrize("way", [np.eye(4), ANEW], ids=["at rest", "lain anew"])
def test_a_known_way_is_found(contrast: str, way: np.ndarray, fixed: Volume) -> None:
    moving = synthetic_head(contrast, seed=3, moved=way)
    found = register(fixed, moving, seed=1)
    assert error_mm(found, way, fixed) < 1.0
    assert check(fixed, moving, found) == ""


def test_thick_slices_without_skull_are_found(fixed: Volume) -> None:
    grid = axial_grid((34, 192, 168), (5.5, 1.1, 1.1))
    moving = resample(synthetic_head("FLAIR", seed=3, moved=ANEW, skull=False), grid)
    found = register(fixed, moving, seed=1)
    assert error_mm(found, ANEW, fixed) < 1.5
    assert check(fixed, moving, found) == ""


def test_the_same_input_gives_the_same_bytes_on_any_number_of_cores(fixed: Volume, moving: Volume) -> None:
    """Another worker may try the job again: under the same UIDs it must make the same objects (invariant 3)."""
    found = []
    for cores in (1, 3, 1):
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(cores)
        found.append(register(fixed, moving, seed=7).transform.tobytes())
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("shift", [(5.0, 0.0, 0.0), (0.0, -5.0, 3.0), (0.0, 0.0, 12.0)])
def test_an_alignment_that_is_off_is_not_trusted(
    shift: tuple[float, float, float], fixed: Volume, moving: Volume
) -> None:
    assert check(fixed, moving, still(ANEW)) == ""
    assert check(fixed, moving, still(rigid(shift) @ ANEW)).startswith("could not be aligned to the reference: ")


def test_another_head_is_dropped_with_the_reason(fixed: Volume) -> None:
    _, reason = aligned_to(fixed, synthetic_head("FLAIR", seed=8))
    assert reason.startswith("could not be aligned to the reference: ")


def test_a_mirrored_series_is_dropped_with_the_reason() -> None:
    """A real head: those of this test's own making are too symmetrical to tell."""
    folder = shared_data("real")
    if folder is None:
        pytest.skip("shared/data/real is not beside this repository")
    pair = next(real_pairs(sorted(folder.iterdir())[0], seed=1))
    _, reason = aligned_to(pair.fixed, mirrored(pair.moving))
    assert reason.startswith("could not be aligned to the reference: ")


def test_a_search_that_got_lost_is_implausible(fixed: Volume) -> None:
    lost = Alignment(transform=np.eye(4), quality={"translation_mm": 300.0, "rotation_degrees": 0.0}, seconds=0.0)
    assert "moved by 300 mm" in check(fixed, fixed, lost)
    turned = Alignment(transform=np.eye(4), quality={"translation_mm": 0.0, "rotation_degrees": 90.0}, seconds=0.0)
    assert "turned by 90 degrees" in check(fixed, fixed, turned)


def test_doubt_gets_a_longer_try(fixed: Volume, moving: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[Plan] = []

    def remembering(fixed: Volume, moving: Volume, *, seed: int, plan: Plan = QUICK) -> Alignment:
        plans.append(plan)
        return still(ANEW if plan is THOROUGH else np.eye(4))

    monkeypatch.setattr(align_module, "register", remembering)
    found, reason = aligned_to(fixed, moving)
    assert plans == [QUICK, THOROUGH]
    assert reason == ""
    np.testing.assert_array_equal(found.transform, ANEW)


def series(volume: Volume, name: str) -> SeriesVolume:
    return SeriesVolume(volume=volume, headers=(), series_instance_uid=name, frame_of_reference_uid="1.2")


def test_a_misaligned_series_is_dropped_and_the_others_stay(fixed: Volume, moving: Volume) -> None:
    """Invariant 6: never fused; the order of the slots is the contract's."""
    bravo, pre, _, flair = SequenceSlot
    volumes = {flair: series(moving, "3"), bravo: series(fixed, "1"), pre: series(synthetic_head(seed=9), "2")}
    found = align(Inputs(volumes=volumes, rejected={SequenceSlot.POST_CUBE: "the series is a mosaic"}))
    assert found.reference is bravo
    assert list(found.volumes) == [bravo, flair]
    assert set(found.alignments) == {flair}
    assert set(found.rejected) == {pre, SequenceSlot.POST_CUBE}
    assert error_mm(found.alignments[flair], ANEW, fixed) < 1.0
    assert GRID.same_as(found.volumes[bravo].volume.grid)
