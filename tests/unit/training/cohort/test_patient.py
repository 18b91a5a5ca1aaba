"""A whole synthetic patient: one seed one patient, truth where the lesions are, files that foreign tools accept."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from dicom_node.contract.slots import SequenceSlot
from training.cohort.patient import Options, Patient, brain_on, co_registered, make_patient
from training.cohort.protocol import Site
from training.cohort.write_dicom import write_study
from training.cohort.write_nifti import write_case
from worker.volume.resample import model_grid

BRAVO, PRE, POST, FLAIR = SequenceSlot


pytestmark = pytest.mark.timeout(600)
"""On a busy machine a patient takes its time."""


@pytest.fixture(scope="module")
def patient() -> Patient:
    """Site B, without label maps: what an ordinary installation makes."""
    return make_patient(4, Site.B, Options(lesions=6))


def test_site_b_sends_three_native_series(patient: Patient) -> None:
    """Sagittal SPACE and FLAIR on their own grids; the reference is the post-Gd SPACE and did not move."""
    assert set(patient.volumes) == {PRE, POST, FLAIR}
    assert patient.reference is POST
    assert np.array_equal(patient.poses[POST].matrix, np.eye(4))
    assert not np.array_equal(patient.poses[PRE].matrix, np.eye(4))
    assert patient.volumes[POST].grid.shape_zyx == (192, 256, 256)
    assert patient.volumes[FLAIR].grid.shape_zyx == (208, 256, 256)
    assert abs(patient.volumes[POST].grid.direction[0, 2]) == 1
    assert all(v.voxels.min() >= 0 and np.isfinite(v.voxels).all() for v in patient.volumes.values())


def test_truth_lies_where_the_lesions_were_planted(patient: Patient) -> None:
    """Each lesion's voxels have its centroid within 1.5 mm and its volume within a third (2 mm ones: within double)."""
    truth, grid = patient.truth, patient.volumes[POST].grid
    assert len(patient.lesions) >= 5
    for lesion in patient.lesions:
        voxels = np.argwhere(truth == lesion.number)
        assert len(voxels)
        centroid = grid.to_mm(voxels).mean(axis=0)
        assert np.linalg.norm(centroid - lesion.centroid_mm) < 1.5
        volume_ml = len(voxels) * grid.voxel_volume_mm3 / 1000
        assert volume_ml == pytest.approx(lesion.volume_ml, rel=1.0 if lesion.diameter_mm < 3.5 else 0.35)


def test_lesions_enhance_and_registration_brings_series_together(patient: Patient) -> None:
    """On one grid, lesions are brighter after than before contrast, relative to the brain around them."""
    grid = model_grid(patient.volumes[POST])
    moved = co_registered(patient, grid, residual=False)
    brain = brain_on(patient, grid) > 0
    whole = sum(les.volume_ml for les in patient.lesions)
    assert whole > 0
    before, after = (moved[s].voxels / np.median(moved[s].voxels[brain]) for s in (PRE, POST))
    assert np.corrcoef(before[brain], after[brain])[0, 1] > 0.3
    largest = max(patient.lesions, key=lambda les: les.volume_ml)
    z, y, x = np.round(grid.to_index(np.array(largest.centroid_mm))).astype(int)
    window = np.s_[z - 4 : z + 5, y - 4 : y + 5, x - 4 : x + 5]
    assert after[window].max() > before[window].max()


def test_a_seed_is_a_patient(patient: Patient) -> None:
    """The same seed gives the same voxels, another another."""
    again = make_patient(4, Site.B, Options(lesions=6, without=(PRE, FLAIR)))
    assert np.array_equal(again.volumes[POST].voxels, patient.volumes[POST].voxels)
    assert again.lesions == patient.lesions


def test_nifti_has_the_layout_of_brainmetshare(patient: Patient, tmp_path: Path) -> None:
    """No bravo at site B; every file on the reference's grid, in RAS; the mask is 0 and 1."""
    write_case(tmp_path, patient)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "flair.nii.gz", "planted.json", "seg.nii.gz", "t1_gd.nii.gz", "t1_pre.nii.gz",
    ]  # fmt: skip
    seg = nibabel.load(tmp_path / "seg.nii.gz")
    post = nibabel.load(tmp_path / "t1_gd.nii.gz")
    assert np.allclose(seg.affine, post.affine)
    assert set(np.unique(np.asarray(seg.dataobj))) == {0, 1}
    first = patient.volumes[POST].grid.to_mm(np.zeros(3))
    assert np.allclose(post.affine[:3, 3], first * [-1, -1, 1], atol=1e-4)


def test_dicom_study_is_whole_and_tells_of_no_person(patient: Patient, tmp_path: Path) -> None:
    """Headers are Table 3's; UIDs fit one another; times run in order. test_dicom_headers.py has every site."""
    write_study(tmp_path / "one", patient, slices=slice(90, 93))
    files = sorted(tmp_path.rglob("*.dcm"))
    headers = [pydicom.dcmread(f, stop_before_pixels=True) for f in files]
    assert len(files) == 9
    assert {str(h.PatientName) for h in headers} == {"DEMO^Synthetic"}
    assert len({h.SOPInstanceUID for h in headers}) == 9
    assert len({h.SeriesInstanceUID for h in headers}) == 3
    assert len({h.StudyInstanceUID for h in headers}) == len({h.FrameOfReferenceUID for h in headers}) == 1
    by_te = {h.EchoTime: h for h in headers}
    assert set(by_te) == {12, 387}
    agents = {h.SeriesDescription: "ContrastBolusAgent" in h for h in headers}
    assert agents["t1_space_sag_p2_iso_KM"]
    assert not agents["t1_space_sag_p2_iso"]
    times = {h.SeriesDescription: h.AcquisitionTime for h in headers}
    assert times["t1_space_sag_p2_iso"] < times["t1_space_sag_p2_iso_KM"]
    planted = json.loads((tmp_path / "one" / "planted.json").read_text())
    assert planted["reference"] == "POST_CUBE"
    assert len(planted["lesions"]) == len(patient.lesions)


def test_dicom_and_nifti_of_a_patient_lie_at_one_place(patient: Patient, tmp_path: Path) -> None:
    """As SimpleITK reads them: one resampled onto the other has its values; outlines lie where planted.json says."""
    alone = replace(patient, volumes={POST: patient.volumes[POST]})
    write_study(tmp_path / "dicom", alone)
    write_case(tmp_path / "nifti", alone)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "dicom" / "005_POST_CUBE")))
    sent = sitk.Cast(reader.Execute(), sitk.sitkFloat32)
    nifti, seg = (sitk.ReadImage(str(tmp_path / "nifti" / f"{name}.nii.gz")) for name in ("t1_gd", "seg"))
    moved = sitk.GetArrayFromImage(sitk.Resample(sent, nifti, sitk.Transform(), sitk.sitkLinear, -1.0))
    inside = moved >= 0
    assert inside.mean() > 0.95
    assert np.abs(moved - sitk.GetArrayFromImage(nifti))[inside].max() < 1.5, "each is rounded to whole numbers"
    bodies = sitk.LabelShapeStatisticsImageFilter()
    bodies.Execute(sitk.ConnectedComponent(seg, True))
    centroids = np.array([bodies.GetCentroid(label) for label in bodies.GetLabels()])
    for folder in ("dicom", "nifti"):
        planted = json.loads((tmp_path / folder / "planted.json").read_text())["lesions"]
        assert len(planted) == len(centroids)
        for lesion in planted:
            assert np.linalg.norm(centroids - lesion["centroid_mm"], axis=1).min() < 1.5


def test_a_written_study_is_not_overwritten(tmp_path: Path, patient: Patient) -> None:
    """The folder of a study is one study's."""
    write_study(tmp_path, patient, slices=slice(0, 1))
    with pytest.raises(FileExistsError):
        write_study(tmp_path, patient, slices=slice(0, 1))
