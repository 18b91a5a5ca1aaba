"""`quartet demo` as a user runs it: two sequences of a synthetic patient in, SEG, SR, picture and summary out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread


@pytest.mark.slow
@pytest.mark.timeout(1500)  # a minute on a quiet machine
def test_the_demo_finds_planted_lesions_and_leaves_its_files(tmp_path: Path) -> None:
    words = ["demo", "--out", str(tmp_path), "--without", "PRE_CUBE", "--without", "FLAIR"]
    done = subprocess.run([sys.executable, "-m", "dicom_node.cli", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert dcmread(tmp_path / "seg.dcm").Modality == "SEG"
    assert dcmread(tmp_path / "sr.dcm").Modality == "SR"
    assert (tmp_path / "preview.png").read_bytes().startswith(b"\x89PNG")
    summary = json.loads((tmp_path / "summary.json").read_text())
    states = {use["slot"]: use["state"] for use in summary["outcome"]["slots"]}
    assert states == {"BRAVO": "used", "PRE_CUBE": "missing", "POST_CUBE": "used", "FLAIR": "missing"}
    assert summary["found"] >= 1
    assert summary["research_use_only"]
    for word in ("Sequences", "Lesions", "Seconds", "Research use only"):
        assert word in done.stdout


def test_a_sequence_that_is_none_is_refused_with_those_that_are() -> None:
    words = ["demo", "--without", "T2"]
    done = subprocess.run([sys.executable, "-m", "dicom_node.cli", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "BRAVO" in done.stderr
