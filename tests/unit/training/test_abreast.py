"""Commands side by side: whose line is whose, one that fails, and Ctrl-C, which each of them gets."""

import os
import signal
import subprocess
import sys
import time

import pytest

from training import commands

TALKS = """
import sys, time
name, code = sys.argv[1:]
for step in range(3):
    print("step", step, "of", name, file=sys.stderr if step == 1 else sys.stdout, flush=True)
sys.exit(int(code))
"""
WAITS = """
import pathlib, sys, time
pathlib.Path(sys.argv[1]).touch()
try:
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(1)
    print("stopped in order", flush=True)
    sys.exit(130)
"""
"""Longer than a quarter of a second, after which subprocess.run kills."""
IGNORES = """
import pathlib, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module that a started Python finds."""

    def write(source: str) -> str:
        (tmp_path / "spoken.py").write_text(source)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
        return "spoken"

    return write


def test_each_line_comes_with_the_name_of_its_command_from_both_streams(module, capsys):
    codes = commands.run_abreast(module(TALKS), {"ild": ["one", "0"], "comparator": ["two", "3"]})
    assert codes == {"ild": 0, "comparator": 3}
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if line.startswith("ild: ")] == [f"ild: step {n} of one" for n in range(3)]
    assert [line for line in said if line.startswith("comparator: ")] == [
        f"comparator: step {n} of two" for n in range(3)
    ]
    assert len(said) == 6


def test_they_run_at_once(module, tmp_path):
    """Each waits for a file that the other makes."""
    meets = """
import pathlib, sys, time
mine, other = map(pathlib.Path, sys.argv[1:])
mine.touch()
until = time.monotonic() + 30
while not other.exists():
    if time.monotonic() > until:
        sys.exit(1)
    time.sleep(.01)
"""
    name = module(meets)
    a, b = (str(tmp_path / letter) for letter in "ab")
    assert commands.run_abreast(name, {"a": [a, b], "b": [b, a]}) == {"a": 0, "b": 0}


@pytest.mark.parametrize(
    "call", ["commands.run(name, [files[0]])", "commands.run_abreast(name, dict(a=files[:1], b=files[1:]))"]
)
def test_ctrl_c_lets_them_end_in_order(module, tmp_path, call):
    """Of the whole group of processes, as a terminal sends it."""
    files = [tmp_path / "a", tmp_path / "b"][: 1 + ("abreast" in call)]
    program = f"from training import commands\nname, *files = {[module(WAITS), *map(str, files)]!r}\n{call}"
    ended = _interrupted(program, files)
    assert ended.stdout.count("stopped in order") == len(files)
    assert "KeyboardInterrupt" in ended.stderr.splitlines()[-1]


def test_one_that_does_not_end_is_ended(module, tmp_path):
    files = [tmp_path / "a"]
    program = (
        f"from training import commands\ncommands.GRACE_S = commands.PATIENCE_S = .2\n"
        f"commands.run_abreast({module(IGNORES)!r}, dict(a={[str(files[0])]!r}))"
    )
    before = time.monotonic()
    ended = _interrupted(program, files)
    assert "KeyboardInterrupt" in ended.stderr
    assert time.monotonic() - before < 50, "it sleeps for 60 s"


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_they_end_in_order_where_only_their_parent_is_told(module, tmp_path, told):
    """By `kill PID`, or by a batch system."""
    files = [tmp_path / "a", tmp_path / "b"]
    program = (
        f"from training import commands\ncommands.GRACE_S = .2\n"
        f"commands.run_abreast({module(WAITS)!r}, dict(a={[str(files[0])]!r}, b={[str(files[1])]!r}))"
    )
    ended = _interrupted(program, files, lambda process: process.send_signal(told))
    assert sorted(ended.stdout.splitlines()) == ["a: stopped in order", "b: stopped in order"]
    assert "KeyboardInterrupt" in ended.stderr.splitlines()[-1]


def _interrupted(program, files, tell=lambda process: os.killpg(process.pid, signal.SIGINT)):
    started = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    until = time.monotonic() + 60
    while not all(file.exists() for file in files):
        assert time.monotonic() < until, started.communicate()
        time.sleep(0.05)
    tell(started)
    out, err = started.communicate(timeout=60)
    return subprocess.CompletedProcess(program, started.returncode, out, err)
