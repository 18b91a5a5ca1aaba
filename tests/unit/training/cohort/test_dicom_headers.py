"""Headers of every site and vendor hold what the standard asks, fit one another, and tell studies apart."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom_node.contract.slots import SequenceSlot
from training.cohort.patient import Options, Patient
from training.cohort.protocol import Site
from training.cohort.write_dicom import study_identity, write_study

SCANNERS = [
    (Site.A, "GE MEDICAL SYSTEMS"),
    (Site.A, "SIEMENS"),
    (Site.B, "SIEMENS"),
    (Site.RANDOMISED, "GE MEDICAL SYSTEMS"),
    (Site.RANDOMISED, "SIEMENS"),
    (Site.RANDOMISED, "Philips"),
]
PATIENTS = 6
"""Enough for thick and thin slices of most contrasts."""
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


def written(folder: Path, patient: Patient, shared_frame: bool = True) -> list[tuple[Path, Dataset]]:
    write_study(folder, patient, shared_frame)
    return [(path, pydicom.dcmread(path)) for path in sorted(folder.rglob("*.dcm"))]


def of_scanner(folder: Path, bare_patient, site: Site, vendor: str) -> Iterator[tuple[Path, Dataset]]:
    """Every series of some patients."""
    for number in range(PATIENTS):
        yield from written(folder / str(number), bare_patient(site, vendor, number))


@pytest.mark.parametrize(("site", "vendor"), SCANNERS)
def test_dciodvfy_finds_no_error(site: Site, vendor: str, tmp_path: Path, bare_patient) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("apt-get install dicom3tools")
    for path, ds in of_scanner(tmp_path, bare_patient, site, vendor):
        told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        assert "Error" not in told.stderr + told.stdout, ds.SeriesDescription


@pytest.mark.parametrize(("site", "vendor"), SCANNERS)
def test_a_header_fits_its_series(site: Site, vendor: str, tmp_path: Path, bare_patient) -> None:
    """Decimal strings of 16 characters; thick slices are 2D by tag and by name; a vendor's options are his alone."""
    for _, ds in of_scanner(tmp_path, bare_patient, site, vendor):
        assert all(len(str(e.value)) <= 16 for e in ds if e.VR == "DS" and e.VM == 1)
        thick = ds.SliceThickness > 2
        assert ds.MRAcquisitionType == ("2D" if thick else "3D")
        told = f"{ds.SeriesDescription} {ds.get('SequenceName', '')}".lower()
        if thick:
            assert not any(word in told for word in ("3d", "space", "spc", "mprage", "cube", "bravo", "view", "iso"))
        options = str(ds.ScanOptions)
        assert ("_GEMS" in options) == (vendor == "GE MEDICAL SYSTEMS")
        assert "PFP" not in options or vendor == "SIEMENS"
        assert ("SequenceName" in ds) == (vendor == "SIEMENS")


def test_studies_that_differ_share_no_uid(tmp_path: Path, bare_patient) -> None:
    """By site, head, lesions asked for, series left out or frame of reference; another site is another patient."""
    first: Patient = bare_patient(Site.B)
    at_a = replace(first, protocol=replace(first.protocol, site=Site.A))
    post_gone = {slot: volume for slot, volume in first.volumes.items() if slot is not SequenceSlot.POST_CUBE}
    studies = {
        "first": (first, True),
        "site": (at_a, True),
        "head": (replace(first, scene=replace(first.scene, source="another.nii.gz")), True),
        "lesions": (replace(first, options=Options(lesions=3)), True),
        "no lesions": (replace(first, options=Options(lesions=0)), True),
        "without": (replace(first, volumes=post_gone), True),
        "frame": (first, False),
        "seed": (replace(first, seed=first.seed + 1), True),
    }
    seen: set[str] = set()
    accessions = set()
    for name, (patient, shared_frame) in studies.items():
        headers = [ds for _, ds in written(tmp_path / name, patient, shared_frame)]
        own = {str(ds[keyword].value) for ds in headers for keyword in UIDS}
        assert not own & seen, name
        seen |= own
        accessions |= {ds.AccessionNumber for ds in headers}
        assert len({ds.FrameOfReferenceUID for ds in headers}) == (1 if shared_frame else len(headers))
    assert len(accessions) == len(studies)
    assert study_identity(first).patient_id != study_identity(at_a).patient_id


def test_one_study_has_the_same_bytes_twice(tmp_path: Path, bare_patient) -> None:
    once, again = (written(tmp_path / name, bare_patient(Site.RANDOMISED)) for name in ("once", "again"))
    assert [path.read_bytes() for path, _ in once] == [path.read_bytes() for path, _ in again]


def test_an_age_is_that_of_the_day_of_the_study(tmp_path: Path, bare_patient) -> None:
    """Born on the first of April: 63 in March 2021, 64 from then on."""
    patient: Patient = bare_patient(Site.B)
    for seed, day, age in ((3, "20210304", "063Y"), (30, "20210331", "063Y"), (31, "20210401", "064Y")):
        (_, ds), *_ = written(tmp_path / str(seed), replace(patient, seed=seed))
        assert (ds.PatientBirthDate, ds.StudyDate, ds.PatientAge) == ("19570401", day, age)
