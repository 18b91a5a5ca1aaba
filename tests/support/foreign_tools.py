"""Programs of others as judges of our files: dcmqi (wheel), dciodvfy (dicom3tools), DCMTK. Tests skip without them."""

import json
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import SimpleITK as sitk

from worker.volume.geometry import Volume


def dcmqi(tool: str, *arguments: object) -> None:
    """Run a tool of dcmqi; a non-zero exit status fails the test with its words."""
    spec = find_spec("dcmqi")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("pip install dcmqi")
    run(Path(spec.submodule_search_locations[0]) / "bin" / tool, *arguments)


def read_segments(seg: Path, folder: Path) -> list[Volume]:
    """The segments of a SEG as dcmqi's segimage2itkimage places them in the patient (LPS mm)."""
    folder.mkdir(parents=True, exist_ok=True)
    dcmqi("segimage2itkimage", "--inputDICOM", seg, "--outputDirectory", folder, "--outputType", "nrrd")
    paths = sorted(folder.glob("*.nrrd"), key=lambda path: int(path.stem))
    return [Volume.from_sitk(sitk.ReadImage(str(path))) for path in paths]


def read_measurements(sr: Path, folder: Path) -> dict[str, Any]:
    """The report as dcmqi's tid1500reader understands it."""
    target = folder / f"{sr.stem}.json"
    dcmqi("tid1500reader", "--inputDICOM", sr, "--outputMetadata", target)
    found: dict[str, Any] = json.loads(target.read_text())
    return found


def dciodvfy(path: Path) -> set[str]:
    """What dciodvfy says of a file, without the line that only names the IOD. DCMTK and dicom3tools print to stderr.

    Without that line it has judged nothing: it could not read the file, or knows no such object.
    """
    done = subprocess.run(
        [_debian("dciodvfy", "dicom3tools"), "-new", path], capture_output=True, text=True, check=False
    )
    lines = (done.stdout + done.stderr).splitlines()
    said = {line.strip() for line in lines if line.startswith(("Error", "Warning"))}
    assert len(lines) > len(said), f"dciodvfy did not judge {path.name}: {lines}"
    return said


def dcm2json(path: Path) -> dict[str, Any]:
    """A file as DCMTK reads it: DICOM JSON, texts converted to UTF-8 by their character set."""
    done = run(_debian("dcm2json", "dcmtk"), path)
    found: dict[str, Any] = json.loads(done)
    return found


def dsrdump(path: Path) -> str:
    """A structured report as DCMTK reads and prints its tree; it refuses one that breaks the IOD's rules."""
    return run(_debian("dsrdump", "dcmtk"), "+U8", path)


def dcmdump(path: Path, tag: str) -> bytes:
    """One element as DCMTK finds it at the top of a file, its bytes unconverted."""
    done = subprocess.run([_debian("dcmdump", "dcmtk"), "+P", tag, "-s", path], capture_output=True, check=True)
    return done.stdout


def run(program: str | Path, *arguments: object) -> str:
    """Standard output of a program that must succeed."""
    done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{program} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _debian(program: str, package: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"apt-get install {package}")
    return path
