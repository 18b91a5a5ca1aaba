"""`quartet slots`: JSON lines and DICOM folders in, a table or JSON lines out."""

import io
import json
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from rich.console import Console
from support import slot_headers as h

from dicom_node.settings import SlotSettings
from dicom_node.slots.table import run_slots


def run(path: Path, *, as_json: bool) -> tuple[int, str]:
    out = io.StringIO()
    code = run_slots(path, as_json=as_json, settings=SlotSettings(), console=Console(file=out, width=160))
    return code, out.getvalue()


def study_file(folder: Path) -> Path:
    series = [h.siemens_space_flair(SeriesDescription="[red]flair"), h.siemens_space_t1(SeriesDescription="t1 KM")]
    path = folder / "studies.jsonl"
    line = json.dumps({"study": "S1", "series": [{"headers": one} for one in series]})
    path.write_text(f"{line}\n\n{line}\n", encoding="utf-8")
    return path


def write_dicom(folder: Path, headers: dict[str, Any], study: str, instances: int) -> None:
    series = generate_uid()
    for number in range(instances):
        ds = Dataset()
        for keyword, value in headers.items():
            setattr(ds, keyword, value)
        ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.PatientName = study, series, "CANARY^Ann"
        ds.file_meta = FileMetaDataset()
        ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = (
            MRImageStorage,
            ds.SOPInstanceUID,
        )
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.save_as(folder / f"{series}.{number}", enforce_file_format=True)


def test_json_lines(tmp_path: Path) -> None:
    """One line a study, in the promised form."""
    code, out = run(study_file(tmp_path), as_json=True)
    first, second = map(json.loads, out.splitlines())
    assert code == 0
    assert first == second
    assert first["study"] == "S1"
    assert first["slots"] == {"BRAVO": None, "PRE_CUBE": None, "POST_CUBE": 1, "FLAIR": 0}
    assert [one["slot"] for one in first["series"]] == ["FLAIR", "POST_CUBE"]
    assert all(set(one) == {"slot", "confidence", "reasons"} for one in first["series"])


def test_table(tmp_path: Path) -> None:
    """A row a series, with slot, confidence and reasons; markup in a description is only text."""
    code, out = run(study_file(tmp_path), as_json=False)
    assert code == 0
    assert "[red]flair" in out
    assert "post CUBE: series #1" in out
    assert "BRAVO: missing" in out
    assert "contrast agent by its words (km)" in out


def test_dicom_folder(tmp_path: Path) -> None:
    """Files of a folder are grouped by study and series, counted, and what is no DICOM is passed over."""
    study = generate_uid()
    (tmp_path / "readme.txt").write_text("no DICOM")
    (tmp_path / "deep").mkdir()
    write_dicom(tmp_path, h.siemens_space_flair(SeriesNumber=1), study, 20)
    write_dicom(tmp_path / "deep", h.siemens_mprage(SeriesNumber=2, ContrastBolusAgent="Gadovist"), study, 20)
    write_dicom(tmp_path, h.siemens_space_flair(SeriesNumber=3), study, 2)
    code, out = run(tmp_path, as_json=True)
    found = json.loads(out)
    assert code == 0
    assert sorted(str(one["slot"]) for one in found["series"]) == ["BRAVO", "FLAIR", "None"]
    assert "CANARY" not in out


def test_nothing_to_read(tmp_path: Path, capsys: Any) -> None:
    """What is missing, empty or of another form is said, with exit code 2."""
    other = tmp_path / "other.jsonl"
    other.write_text('{"study": 1, "series": [{"head": {}}]}\n')
    (tmp_path / "empty").mkdir()
    for path, text in ((tmp_path / "none", "does not exist"), (tmp_path / "empty", "no DICOM"), (other, "line 1")):
        assert run(path, as_json=True)[0] == 2
        assert text in " ".join(capsys.readouterr().err.split())
