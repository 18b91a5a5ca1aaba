"""Results are written whole and linted, or held back."""

import dataclasses
import hashlib
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from support.results import Planted, result_study

from dicom_node.contract.messages import Product
from worker.errors import WorkerError
from worker.results import write
from worker.results.write import write_results

SMALL = {"shape_zyx": (8, 20, 20), "lesions": [Planted((4, 6, 6), 2.0)]}


def test_what_is_said_is_what_lies_on_disk(tmp_path: Path) -> None:
    files = write_results(tmp_path, result_study(**SMALL).context, (Product.SR, Product.SEG))
    assert [file.file_name for file in files] == ["seg.dcm", "sr.dcm"], "the report after what it refers to"
    for file in files:
        path = tmp_path / file.file_name
        dataset = dcmread(path)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
        assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID == file.sop_instance_uid
        assert dataset.SOPClassUID == dataset.file_meta.MediaStorageSOPClassUID == file.sop_class_uid
        assert dataset.SeriesInstanceUID == file.series_instance_uid


def test_only_what_is_asked_for_is_written(tmp_path: Path) -> None:
    write_results(tmp_path, result_study(**SMALL).context, (Product.SEG,))
    assert [path.name for path in tmp_path.iterdir()] == ["seg.dcm"]


def test_a_result_that_fails_the_rules_is_held_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = write.build_report

    def without_tracking(*arguments: object) -> Dataset:
        report = good(*arguments)  # type: ignore[arg-type]
        for container in report.ContentSequence:
            for group in container.get("ContentSequence", []):
                if group.ConceptNameCodeSequence[0].CodeValue == "125007":
                    del group.ContentSequence[1]
        return report

    monkeypatch.setattr(write, "build_report", without_tracking)
    with pytest.raises(WorkerError, match=r"held back: \[SR-TRACKING\]"):
        write_results(tmp_path, result_study(**SMALL).context, (Product.SEG, Product.SR))


def test_an_error_names_no_patient(tmp_path: Path) -> None:
    context = result_study(**SMALL, patient_name="Canary^Zz").context
    request = dataclasses.replace(context.request, study_instance_uid="1.2.3")
    with pytest.raises(WorkerError) as caught:
        write_results(tmp_path, dataclasses.replace(context, request=request), (Product.SR,))
    assert "another study" in str(caught.value)
    assert "Canary" not in str(caught.value)
