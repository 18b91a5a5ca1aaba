"""The short form of `make soak`: a few rounds of kill -9 and the same verdict, as a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).resolve().parents[1] / "soak" / "soak.py"
ROUNDS = 6
PARTS = ("receive", "coordinate", "worker", "worker-child", "broker", "node")


@pytest.mark.slow
@pytest.mark.timeout(1800)  # two minutes on a quiet machine
def test_a_few_rounds_of_kill_9_lose_and_double_nothing(tmp_path: Path) -> None:
    words = ["--rounds", str(ROUNDS), "--seed", "4", "--keep", str(tmp_path)]
    done = subprocess.run([sys.executable, SOAK, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert f"{ROUNDS} rounds" in done.stdout
    assert "killed: " + ", ".join(f"{part} 1" for part in PARTS) in " ".join(done.stdout.split())
    assert "Nothing acknowledged was lost" in done.stdout
