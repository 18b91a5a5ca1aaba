"""A run that is broken off, by Ctrl-C or by a power failure, and gone on with."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
import torch
from support.patients import write_patient
from support.runs import LAUNCH, line, torchrun

from model.checkpoint import load
from training import train
from training.interruption import interruptible
from training.step import STATE_FILE, Learner

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("one_thread")]


def interrupt() -> None:
    """Ctrl-C as its handler sees it; test_ctrl_c_ends_all_processes_with_one_line sends the signal itself.

    Not here: after some hundred other tests in one process its delivery ended that process (SIGSEGV within raise(3), as
    gdb shows; Python takes signals on faulthandler's small stack there). A training's own process has no such stack.
    """
    handler = signal.getsignal(signal.SIGINT)
    assert callable(handler)
    handler(signal.SIGINT, None)


@pytest.mark.parametrize(("seconds", "stands"), [(300.0, 2), (0.0, 3)])
def test_a_run_that_was_broken_off_ends_as_if_it_had_not_been(
    data, tmp_path, monkeypatch, capsys, quick_validation, seconds, stands
):
    """From the state of its last epoch of two steps, or from one in the midst of an epoch."""
    monkeypatch.setattr(train, "SAVE_SECONDS", seconds)
    quick_validation(0.1, 0.2, 0.3)
    assert train.main(line(data, tmp_path / "whole", "--steps", "6")) == 0
    learn = Learner.learn

    def until_the_power_fails(self, batch):
        if self.step == 3:
            interrupt()
        return learn(self, batch)

    quick_validation(0.1, 0.2, 0.3)
    monkeypatch.setattr(Learner, "learn", until_the_power_fails)
    assert train.main(line(data, tmp_path / "broken", "--steps", "6")) == 130
    said = capsys.readouterr().err
    assert said == (
        f"training.train: stopped; the state of step {stands} stands in {tmp_path / 'broken'}, the same line goes on\n"
    )
    monkeypatch.setattr(Learner, "learn", learn)
    quick_validation(0.2, 0.3)
    assert train.main(line(data, tmp_path / "broken", "--steps", "6")) == 0
    assert f"{tmp_path / 'broken'} goes on from step {stands}\n" in capsys.readouterr().out
    whole, broken = (torch.load(tmp_path / name / STATE_FILE, weights_only=True) for name in ("whole", "broken"))
    assert whole["step"] == broken["step"] == 6
    assert whole["extra"] == broken["extra"]
    for name, value in whole["average"].items():
        assert torch.equal(value, broken["average"][name]), name
    kept = [load(tmp_path / name / "weights").network.state_dict() for name in ("whole", "broken")]
    assert all(torch.equal(value, kept[1][name]) for name, value in kept[0].items())


@pytest.mark.parametrize("broken_at", [2, 5])
def test_a_run_broken_off_within_a_validation_goes_on_with_it(
    data, tmp_path, monkeypatch, capsys, quick_validation, broken_at
):
    """No step is learned again, and no epoch is left out: that of step 5 is the last, and a short one."""
    learned: list[int] = []
    learn = Learner.learn
    monkeypatch.setattr(Learner, "learn", lambda self, batch: (learned.append(self.step), learn(self, batch))[1])
    quick_validation(0.3, 0.1, 0.2)
    assert train.main(line(data, tmp_path / "whole", "--steps", "5")) == 0
    before = {2: [], 5: [0.3, 0.1]}[broken_at]

    def judged(*_: object) -> dict[str, float]:
        if not before:
            interrupt()
        return {"FLAIR": before.pop(0)}

    learned.clear()
    monkeypatch.setattr(train, "validate", judged)
    assert train.main(line(data, tmp_path / "broken", "--steps", "5")) == 130
    assert f"the state of step {broken_at} stands in {tmp_path / 'broken'}, the same" in capsys.readouterr().err
    quick_validation(*{2: (0.3, 0.1, 0.2), 5: (0.2,)}[broken_at])
    assert train.main(line(data, tmp_path / "broken", "--steps", "5")) == 0
    said = capsys.readouterr().out
    assert f"{tmp_path / 'broken'} goes on from step {broken_at}\nstep {broken_at}: validation Dice FLAIR" in said
    assert learned == [0, 1, 2, 3, 4]
    whole, broken = (torch.load(tmp_path / name / STATE_FILE, weights_only=True) for name in ("whole", "broken"))
    assert whole["extra"] == broken["extra"] == {"score": 0.3, "epoch": 1.0, "judged": 5.0}
    for name, value in whole["average"].items():
        assert torch.equal(value, broken["average"][name]), name


@pytest.mark.parametrize(("seconds", "broken_at", "stands"), [(300.0, 2, 2), (0.0, 3, 3), (300.0, 5, 4)])
def test_a_state_of_an_earlier_release_was_judged(
    data, tmp_path, monkeypatch, capsys, quick_validation, seconds, broken_at, stands
):
    """It was written after the validation only, and does not say so: what goes on validates the later epochs."""
    monkeypatch.setattr(train, "SAVE_SECONDS", seconds)
    learn = Learner.learn

    def until_the_power_fails(self, batch):
        if self.step == broken_at:
            interrupt()
        return learn(self, batch)

    quick_validation(0.1, 0.2, 0.3)
    monkeypatch.setattr(Learner, "learn", until_the_power_fails)
    assert train.main(line(data, tmp_path, "--steps", "6")) == 130
    monkeypatch.setattr(Learner, "learn", learn)
    state = torch.load(tmp_path / STATE_FILE, weights_only=True)
    assert state["step"] == stands
    del state["extra"]["judged"]
    torch.save(state, tmp_path / STATE_FILE)
    capsys.readouterr()
    assert train.main(line(data, tmp_path, "--steps", "6")) == 0
    told = re.findall(r"step (\d): .*validation", capsys.readouterr().out)
    assert told == [str(end) for end in (2, 4, 6) if end > stands]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_run_broken_off_before_its_first_state_says_so(data, tmp_path, monkeypatch, capsys, error):
    """Whatever torch makes of the interrupt."""

    def learn(*_: object) -> float:
        try:
            interrupt()
        except KeyboardInterrupt:
            raise error from None
        return 0.0

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(Learner, "learn", learn)
    assert train.main(line(data, tmp_path, "--steps", "6")) == 130
    assert capsys.readouterr().err == "training.train: stopped; nothing was saved yet\n"
    assert signal.getsignal(signal.SIGINT) is before, "whoever had it has it again"


def test_an_interrupt_is_not_lost_while_the_loader_forks_and_does_not_wait_twice():
    """Hooks of a fork print a KeyboardInterrupt, and the run goes on."""

    def batches(signals: int) -> Iterator[int]:
        yield 1
        for _ in range(signals):
            interrupt()
        fetched.append(2)
        yield 2

    for signals, wholly in ((1, [2]), (2, [])):
        fetched: list[int] = []
        seen = []
        with interruptible() as interruption:
            seen += interruption.between(batches(0))
            with pytest.raises(KeyboardInterrupt):
                seen.extend(interruption.between(batches(signals)))
        assert (seen, fetched) == ([1, 2, 1], [2, *wholly])


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_ends_all_processes_with_one_line(data, tmp_path, processes):
    """As a terminal sends it, to the workers of the loader too; torchrun passes it on, and has a trace of its own."""
    out = tmp_path / "run"
    options = line(data, out, "--steps", "100000", "--threads", "1", "--workers", "1")
    command = [*(LAUNCH if processes > 1 else LAUNCH[:1]), "-m", "training.train", *options]
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    with (tmp_path / "said").open("w") as said:
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, env=quiet, start_new_session=True)
        deadline = time.monotonic() + 300
        while not (out / STATE_FILE).exists() and run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        os.killpg(run.pid, signal.SIGINT)
        try:
            code = run.wait(60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
    told = (tmp_path / "said").read_text()
    ours = [text for text in told.splitlines() if text.startswith("training.train: ")]
    step = torch.load(out / STATE_FILE, weights_only=True)["step"]
    assert ours == [f"training.train: stopped; the state of step {step} stands in {out}, the same line goes on"], told
    if processes == 1:
        assert (code, "Traceback" in told) == (130, False), told


def test_a_validation_that_was_broken_into_is_not_kept(data, tmp_path, monkeypatch, capsys):
    """OpenVINO takes the interrupt for a fault of its own, and torch judges in its place."""

    def judge(*_: object) -> dict[str, float]:
        with contextlib.suppress(KeyboardInterrupt):
            interrupt()
        return {"FLAIR": 0.5}

    monkeypatch.setattr(train, "validate", judge)
    assert train.main(line(data, tmp_path, "--steps", "6")) == 130
    assert "the state of step 2 stands" in capsys.readouterr().err
    assert not (tmp_path / "weights").exists()


POWER_FAILS = """
import os, sys
from training import step, train
train.SAVE_SECONDS = 0.
learn = step.Learner.learn
def until_the_power_fails(self, batch):
    if self.step == 3 and os.environ["RANK"] == "0":  # which has written the state by now
        os._exit(9)
    return learn(self, batch)
step.Learner.learn = until_the_power_fails
sys.exit(train.main())
"""


@pytest.mark.slow
def test_two_processes_go_on_in_the_midst_of_an_epoch(tmp_path):
    """Both from the state that the first wrote, to the weights of a run that was never broken off."""
    for seed in (1, 2, 3, 4):
        write_patient(tmp_path / "patients", seed, slices=6)
    (tmp_path / "fails.py").write_text(POWER_FAILS)
    options = ["--steps", "4", "--steps-per-epoch", "4", "--threads", "1"]
    whole, broken = ([*line(tmp_path / "patients", tmp_path / name), *options] for name in ("whole", "broken"))
    assert torchrun(broken, [str(tmp_path / "fails.py")]).returncode
    assert torch.load(tmp_path / "broken" / STATE_FILE, weights_only=True)["step"] == 3
    told = torchrun(broken)
    assert told.returncode == 0, told.stderr[-3000:]
    assert "goes on from step 3" in told.stdout
    assert torchrun(whole).returncode == 0
    states = [torch.load(tmp_path / name / STATE_FILE, weights_only=True) for name in ("whole", "broken")]
    for name, value in states[0]["average"].items():
        torch.testing.assert_close(states[1]["average"][name], value, msg=name)
