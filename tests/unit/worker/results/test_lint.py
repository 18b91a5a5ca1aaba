"""`quartet lint`: exit status and words for people."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread
from support.results import Planted, result_study, write_sources

from dicom_node.contract.messages import Product
from worker.results.lint import main
from worker.results.write import write_results


@pytest.fixture
def result(tmp_path: Path) -> Path:
    study = result_study(shape_zyx=(8, 20, 20), lesions=[Planted((4, 6, 6), 2.0)])
    write_sources(study, tmp_path / "source")
    (tmp_path / "result").mkdir()
    write_results(tmp_path / "result", study.context, (Product.SEG, Product.SR))
    return tmp_path / "result"


def test_a_good_result_is_clean(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(result), "--display", str(result.parent / "source" / "POST_CUBE")]) == 0
    assert capsys.readouterr().out == "2 files, 0 findings, 0 notes\n"


def test_the_wrong_display_series_is_found(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(result / "seg.dcm"), "--display", str(result.parent / "source" / "FLAIR")]) == 1
    words = capsys.readouterr().out
    assert "[SEG-REFERENCED-SERIES] SEG: the first referenced series is not the display series (OHIF" in words


def test_a_note_fails_only_where_it_is_asked_to(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seg = dcmread(result / "seg.dcm")
    del seg.BodyPartExamined
    seg.save_as(result / "seg.dcm")
    assert main([str(result / "seg.dcm")]) == 0
    assert capsys.readouterr().out.startswith("note [ALL-BODY-PART]")
    assert main([str(result / "seg.dcm"), "--strict"]) == 1


def test_what_is_no_dicom_file_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note, missing = tmp_path / "note.txt", tmp_path / "missing.dcm"
    note.write_text("no DICOM")
    for files, words in (
        ([note], f"{note} is no DICOM file"),
        ([missing], f"{missing} cannot be read: No such file or directory"),
        ([], "give the files to judge, or --rules; --help shows an example"),
    ):
        assert main([str(file) for file in files]) == 2
        assert capsys.readouterr().err == f"quartet lint: {words}\n"


def test_the_rules_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rules"]) == 0
    assert "SR-TRACKING" in capsys.readouterr().out


def test_help_shows_an_example_and_the_module_runs_as_a_process() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "worker.results.lint", "--help"], capture_output=True, text=True, check=True,
        cwd=next(parent for parent in Path(__file__).resolve().parents if (parent / "pyproject.toml").is_file()),
    )  # fmt: skip
    assert "quartet lint outcome/seg.dcm outcome/sr.dcm --display" in done.stdout
