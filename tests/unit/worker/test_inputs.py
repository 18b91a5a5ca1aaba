"""The chosen series of a snapshot are read; one that is no brain, or no volume, rejects its slot and no other."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from support.dicom_objects import mr_series, write
from support.heads import GRID, synthetic_head

from dicom_node.contract.messages import InstanceRef, JobRequest, Product, SnapshotSeries
from dicom_node.contract.slots import SequenceSlot
from worker.errors import InputRefused
from worker.inputs import SnapshotAltered, dataset_sha256, read_inputs

BRAVO, PRE, POST, FLAIR = SequenceSlot


def head(contrast: str) -> list[Dataset]:
    voxels = synthetic_head(contrast, seed=3).voxels
    return mr_series(contrast, voxels=voxels, spacing_mm_zyx=(2.0, 2.0, 2.0), origin_mm=tuple(GRID.affine[:3, 3]))


def chosen(slot: SequenceSlot, series: list[Dataset], root: Path) -> SnapshotSeries:
    paths = write(series, root / slot.value)
    instances = tuple(
        InstanceRef(
            sop_instance_uid=str(ds.SOPInstanceUID), path=str(path.relative_to(root)), sha256=dataset_sha256(path)
        )
        for ds, path in zip(series, paths, strict=True)
    )
    return SnapshotSeries(
        series_instance_uid=str(series[0].SeriesInstanceUID), slot=slot, chosen=True, confidence=1.0, reasons=(),
        description="", instances=instances,
    )  # fmt: skip


def request(*series: SnapshotSeries) -> JobRequest:
    return JobRequest(
        job_id="ab" * 16, study_instance_uid="1.2", snapshot_digest="d", created_at="2026-01-01T00:00:00+00:00",
        series=series, products=(Product.SEG,),
    )  # fmt: skip


def test_a_slab_never_becomes_the_reference_of_a_good_series(tmp_path: Path) -> None:
    """A 3D T1 of the inner ear, 24 mm high, in the BRAVO slot; mosaics in PRE; the FLAIR is whole and goes on."""
    slab = mr_series("BRAVO", shape_zyx=(24, 64, 64))
    mosaic = mr_series("PRE_CUBE", shape_zyx=(12, 64, 64), headers={"ImageType": ["ORIGINAL", "PRIMARY", "MOSAIC"]})
    found = read_inputs(
        request(chosen(BRAVO, slab, tmp_path), chosen(PRE, mosaic, tmp_path), chosen(FLAIR, head("FLAIR"), tmp_path)),
        tmp_path,
    )
    assert found.reference is FLAIR
    assert set(found.volumes) == {FLAIR}
    assert "covers only 24 mm" in found.rejected[BRAVO]
    assert "mosaic" in found.rejected[PRE]


def test_a_study_without_a_usable_series_is_refused_with_every_reason(tmp_path: Path) -> None:
    noise = mr_series("POST_CUBE", voxels=np.random.default_rng(0).integers(0, 900, (90, 90, 90)))
    with pytest.raises(InputRefused, match=r"no usable series \(post CUBE: the volume is noise"):
        read_inputs(request(chosen(POST, noise, tmp_path)), tmp_path)


def test_padding_below_zero_in_the_air_becomes_air(tmp_path: Path) -> None:
    """As some scanners pad outside the coil; what else the volume holds stays."""
    voxels = synthetic_head("BRAVO", seed=3).voxels.astype(np.int16)
    padded = voxels.copy()
    padded[:, :4] = -2000
    series = mr_series(
        "BRAVO",
        voxels=padded,
        spacing_mm_zyx=(2.0, 2.0, 2.0),
        origin_mm=tuple(GRID.affine[:3, 3]),
        headers={"PixelRepresentation": 1},
    )
    found = read_inputs(request(chosen(BRAVO, series, tmp_path)), tmp_path).volumes[BRAVO].volume.voxels
    assert found.min() == 0
    assert not found[:, :4].any()
    assert np.array_equal(found[:, 4:], voxels[:, 4:])


def test_a_file_that_was_changed_or_is_gone_stops_the_job(tmp_path: Path) -> None:
    series = chosen(BRAVO, head("BRAVO"), tmp_path)
    path = tmp_path / series.instances[5].path
    kept = path.read_bytes()
    path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    with pytest.raises(SnapshotAltered, match="changed"):
        read_inputs(request(series), tmp_path)
    path.unlink()
    with pytest.raises(SnapshotAltered, match="gone"):
        read_inputs(request(series), tmp_path)
