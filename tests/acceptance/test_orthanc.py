"""A PACS that routes: Orthanc sends a study to the node by C-STORE, and has SEG and SR of it, read back by DICOMweb."""

import io
import time
from email import message_from_bytes
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from support.foreign_tools import read_measurements, read_segments
from support.node import running_node
from support.orthanc import AE_TITLE, Orthanc, running_orthanc
from support.studies import BALLS_MM, SPACING_MM_ZYX, write_study

from dicom_node.broker import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
REFERENCED_SEGMENT = "121191"


def test_a_study_routed_by_orthanc_has_seg_and_sr_in_orthanc(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", patient="orthanc", sequences=("BRAVO", "FLAIR"))
    port = free_port()
    with (
        running_orthanc(tmp_path / "orthanc", quartet_port=port) as orthanc,
        running_node(
            tmp_path / "node", port=port, peers=("TEST", AE_TITLE), destinations={AE_TITLE: orthanc.dicom_port}
        ),
    ):
        route(orthanc, study.files)
        results = {kind: wait_for_series(orthanc, study.study_uid, kind) for kind in ("SEG", "SR")}
        files = {kind: retrieve(orthanc, study.study_uid, series) for kind, series in results.items()}
    paths = {kind: tmp_path / f"{kind}.dcm" for kind in files}
    for kind, content in files.items():
        paths[kind].write_bytes(content)
    (mask,) = read_segments(paths["SEG"], tmp_path)
    for ball in BALLS_MM:
        index = np.rint(np.linalg.inv(mask.grid.affine) @ np.array([*ball, 1.0]))[:3].astype(int)
        assert mask.voxels[index[2], index[1], index[0]]
    assert mask.grid.spacing_mm_xyz == pytest.approx(SPACING_MM_ZYX[::-1])
    report, segmentation = dcmread(paths["SR"]), dcmread(paths["SEG"])
    assert len(lesion_items(report)) == len(BALLS_MM)
    assert str(segmentation.SOPInstanceUID) in str(report)
    assert report.StudyInstanceUID == segmentation.StudyInstanceUID == study.study_uid
    groups = read_measurements(paths["SR"], tmp_path)["Measurements"]
    segmented = [group for group in groups if group.get("segmentationSOPInstanceUID")]
    assert {str(group["segmentationSOPInstanceUID"]) for group in segmented} == {str(segmentation.SOPInstanceUID)}
    assert len(segmented) == len(BALLS_MM)


def route(orthanc: Orthanc, files: tuple[Path, ...]) -> None:
    """Put the study into Orthanc and let it send it to the node, as its auto-routing does."""
    for path in files:
        httpx.post(f"{orthanc.url}/instances", content=path.read_bytes(), timeout=30).raise_for_status()
    (study,) = orthanc.get("/studies")
    sent = httpx.post(f"{orthanc.url}/modalities/quartet/store", content=study, timeout=120)
    sent.raise_for_status()
    assert sent.json()["FailedInstancesCount"] == 0
    assert sent.json()["InstancesCount"] == len(files)


def wait_for_series(orthanc: Orthanc, study_uid: str, modality: str, seconds: float = 240.0) -> str:
    """Series UID of the one series of a modality, by QIDO-RS."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found: list[dict[str, Any]] = orthanc.get(f"/dicom-web/studies/{study_uid}/series", Modality=modality)
        if found:
            (series,) = found
            return str(series["0020000E"]["Value"][0])
        time.sleep(0.5)
    raise AssertionError(f"no {modality} in Orthanc after {seconds:.0f} s")


def retrieve(orthanc: Orthanc, study_uid: str, series_uid: str) -> bytes:
    """The one object of a series by WADO-RS (multipart/related)."""
    url = f"{orthanc.dicomweb_url}/studies/{study_uid}/series/{series_uid}"
    answer = httpx.get(url, headers={"Accept": 'multipart/related; type="application/dicom"'}, timeout=60)
    answer.raise_for_status()
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    (part,) = message_from_bytes(head + answer.content).get_payload()
    content: bytes = part.get_payload(decode=True)
    dcmread(io.BytesIO(content))
    return content


def lesion_items(item: Dataset) -> list[Dataset]:
    """The items Referenced Segment (121191, DCM) below an item: one for each lesion (TID 1411)."""
    found = []
    for child in item.get("ContentSequence", ()):
        if child.ConceptNameCodeSequence[0].CodeValue == REFERENCED_SEGMENT:
            found.append(child)
        found += lesion_items(child)
    return found
