"""The same input gives the same bytes: twice in a process, and in another process with another hash seed."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from support.results import result_study

from dicom_node.contract.messages import Product
from worker.results.preview import write_preview
from worker.results.write import write_results

PROGRAM = """
import json, sys
from pathlib import Path
from dicom_node.contract.messages import Product
from support.results import result_study
from worker.results.write import write_results
files = write_results(Path(sys.argv[1]), result_study(orientation="oblique").context, tuple(Product))
print(json.dumps({file.file_name: file.sha256 for file in files}))
"""


def digests(folder: Path) -> dict[str, str]:
    folder.mkdir()
    files = write_results(folder, result_study(orientation="oblique").context, tuple(Product))
    on_disk = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    assert on_disk == {file.file_name: file.sha256 for file in files}
    return on_disk


def test_twice_and_in_another_process_every_file_is_the_same(tmp_path: Path) -> None:
    first = digests(tmp_path / "first")
    assert digests(tmp_path / "second") == first
    (tmp_path / "third").mkdir()
    here = Path(__file__).resolve()
    tests = next(parent for parent in here.parents if parent.name == "tests")
    environment = os.environ | {"PYTHONHASHSEED": "77", "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "third")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == first


def test_the_picture_is_the_same_and_a_negative_study_has_one_too(tmp_path: Path) -> None:
    for name, context in (("found", result_study().context), ("none", result_study(lesions=[]).context)):
        one = write_preview(tmp_path / f"{name}-1.png", context).read_bytes()
        two = write_preview(tmp_path / f"{name}-2.png", context).read_bytes()
        assert one == two
        assert one.startswith(b"\x89PNG")


def test_another_snapshot_other_settings_and_another_release_are_other_objects() -> None:
    context = result_study().context
    uids = {
        context.uid("seg"),
        context.uid("sr"),
        result_study(snapshot="3" * 64).context.uid("seg"),
        dataclasses.replace(context, settings_digest="99" * 32).uid("seg"),
        dataclasses.replace(context, software_version="9.9.9").uid("seg"),
    }
    assert len(uids) == 5
