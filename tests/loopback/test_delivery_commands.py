"""`quartet send` and `quartet lint` as a person types them; DCMTK's storescp has what was sent."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread
from support.dcmtk import foreign_pacs
from support.results import Planted, result_study

from dicom_node.contract.messages import Product
from worker.results.write import write_results


def quartet(*words: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "dicom_node.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)


@pytest.fixture
def result(tmp_path: Path) -> list[Path]:
    """SEG and SR of a small study."""
    study = result_study(shape_zyx=(8, 20, 20), lesions=[Planted((4, 6, 6), 2.0)], patient_name="ZZCANARY^ANNE")
    return [tmp_path / file.file_name for file in write_results(tmp_path, study.context, (Product.SEG, Product.SR))]


def settings(folder: Path, port: int) -> Path:
    path = folder / "quartet.toml"
    path.write_text(
        f'[storage]\nroot = "{folder / "storage"}"\n'
        f'[[destinations]]\nname = "pacs"\nae_title = "FOREIGN"\nport = {port}\ntimeout_s = 5\n'
    )
    return path


def test_send_brings_the_files_to_a_destination_by_its_name(result: list[Path], tmp_path: Path) -> None:
    with foreign_pacs(tmp_path / "pacs") as pacs:
        done = quartet("send", *reversed(result), "--to", "pacs", "--config", settings(tmp_path, pacs.port))
        assert done.returncode == 0, done.stdout + done.stderr
        received = [dcmread(path) for path in pacs.received()]
    assert [ds.Modality for ds in received] == ["SEG", "SR"]
    assert received == [dcmread(path) for path in result]
    assert done.stdout.splitlines() == ["sent  seg.dcm", "sent  sr.dcm"]
    assert "CANARY" not in done.stdout + done.stderr


def test_send_says_what_hinders_and_fails(result: list[Path], tmp_path: Path) -> None:
    config = settings(tmp_path, 1)
    away = quartet("send", *result, "--to", "pacs", "--config", config)
    assert away.returncode == 1
    assert "nothing listens there" in " ".join(away.stdout.split())
    unknown = quartet("send", *result, "--to", "pax", "--config", config)
    assert unknown.returncode == 2
    assert "did you mean pacs?" in unknown.stdout + unknown.stderr


def test_lint_judges_what_we_write_and_finds_what_was_broken(result: list[Path]) -> None:
    good = quartet("lint", *result)
    assert (good.returncode, good.stdout) == (0, "2 files, 0 findings, 0 notes\n")
    report = dcmread(result[1])
    del report.ContentTemplateSequence
    report.save_as(result[1])
    broken = quartet("lint", *result)
    assert broken.returncode == 1
    assert broken.stdout.startswith("[SR-ROOT] Comprehensive 3D SR: it does not name template 1500 (OHIF, 3D Slicer:")
