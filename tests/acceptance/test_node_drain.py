"""Runs node_drain.py in a pytest of its own: pynetdicom leaves the socket of a cut connection open there.

The warning about that socket would end this whole run; it is not Quartet's, whose processes are apart.
"""

import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).with_name("node_drain.py")
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_node_that_is_stopped_or_killed_in_the_middle_loses_nothing() -> None:
    words = ["-m", "pytest", "-q", "-p", "no:unraisableexception", str(CASES)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert done.stdout.startswith("..")
