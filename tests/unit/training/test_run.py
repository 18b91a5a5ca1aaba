"""A run by its command line: broken off and gone on with, shown in TensorBoard, ended early, in two processes."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from support.patients import write_patient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from model.checkpoint import load
from training import configuration as numbers
from training import step, train
from training.interruption import interruptible
from training.step import STATE_FILE, Learner
from worker.errors import WorkerError

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("one_thread")]
SMALL = ["--batch", "2", "--crop-px", "32", "--steps-per-epoch", "2", "--device", "cpu", "--workers", "0"]
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture
def quick_validation(monkeypatch):
    """Validation by a list of scores instead of whole volumes; the last one goes on for ever."""

    def use(*scores: float) -> None:
        left = list(scores)
        monkeypatch.setattr(train, "validate", lambda *_: {"FLAIR": left.pop(0) if len(left) > 1 else left[0]})

    return use


@pytest.fixture(scope="module")
def run_of_two_steps(data, tmp_path_factory):
    """A finished run, with files of the same and of other settings beside it. Tests leave it as it is."""
    out = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(train, "validate", lambda *_: {"FLAIR": 0.5})
        assert train.main(line(data, out, "--steps", "2")) == 0
    (out.parent / "patience.json").write_text(json.dumps({"patience": 3}))
    (out.parent / "same.json").write_text(json.dumps({"crop_px": 32, "seed": 20211}))
    return out


def line(data: Path, out: Path, *options: str) -> list[str]:
    return ["--data", str(data), "--out", str(out), "--validation", ".5", *SMALL, *options]


def interrupt() -> None:
    """Ctrl-C as its handler sees it; test_ctrl_c_ends_all_processes_with_one_line sends the signal itself.

    Not here: after some hundred other tests in one process its delivery ended that process (SIGSEGV within raise(3), as
    gdb shows; Python takes signals on faulthandler's small stack there). A training's own process has no such stack.
    """
    handler = signal.getsignal(signal.SIGINT)
    assert callable(handler)
    handler(signal.SIGINT, None)


def scalars(run: Path) -> dict[str, list[int]]:
    """Name -> steps at which TensorBoard was told of it."""
    events = EventAccumulator(str(run / "events"))
    events.Reload()
    return {name: [event.step for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


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


def test_a_finished_run_says_where_its_weights_are_and_how_to_go_further(data, run_of_two_steps, capsys):
    asked = ["--data", str(data), "--out", str(run_of_two_steps), "--device", "cpu", "--workers", "0"]
    assert train.main(asked) == 0
    said = capsys.readouterr().out
    weights = run_of_two_steps / "weights"
    assert f"{run_of_two_steps} is finished at step 2; its best weights, of epoch 1, stand in {weights}." in said
    assert f"--start-from {weights} and another --out" in said
    assert "goes on" not in said


def test_the_weights_that_a_run_began_with_are_kept_in_its_split(data, run_of_two_steps, tmp_path, quick_validation):
    quick_validation(0.5)
    start = ["--start-from", str(run_of_two_steps / "weights")]
    assert train.main(line(data, tmp_path, "--steps", "2", *start)) == 0
    digest = load(run_of_two_steps / "weights").card.weights_sha256[:12]
    for options in (start, []):
        assert train.main(line(data, tmp_path, *options)) == 0
        origin = json.loads((tmp_path / "split.json").read_text())["start_from"]
        assert origin == f"quartet-ild 0.0.0-training, SHA-256 {digest}"


def test_tensorboard_is_told_of_each_epoch(data, tmp_path, quick_validation):
    quick_validation(0.1, 0.2)
    assert train.main(line(data, tmp_path, "--steps", "4")) == 0
    assert scalars(tmp_path) == {"loss": [2, 4], "validation/FLAIR": [2, 4]}


def test_a_run_without_better_validation_ends_early_and_keeps_its_best(data, tmp_path, capsys, quick_validation):
    quick_validation(0.5, 0.4)
    patient = tmp_path / "patient.json"
    patient.write_text(json.dumps({"patience": 2}))
    out = tmp_path / "run"
    assert train.main(line(data, out, "--steps", "100", "--configuration", str(patient))) == 0
    assert torch.load(out / STATE_FILE, weights_only=True)["step"] == 6
    assert load(out / "weights").card.configuration["step"] == 2
    assert "no better validation since epoch 1" in capsys.readouterr().out
    again = (out / STATE_FILE).read_bytes()
    assert train.main(line(data, out, "--steps", "100", "--configuration", str(patient))) == 0
    assert (out / STATE_FILE).read_bytes() == again
    assert "no better validation since epoch 1" in capsys.readouterr().out


CONTRADICTIONS = {
    "steps": ["--steps", "500"],
    "architecture": ["--architecture", "quartet_wide"],
    "sequences": ["--without-dropout"],
    "seed": ["--seed", "2"],
    "subset_law": ["--subset-law", "count"],
    "patience": ["--configuration", "patience.json"],
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_run_does_not_go_on_with_other_settings(data, run_of_two_steps, monkeypatch, capsys, name):
    """All of them were passed over without a word, and a report then named what had been asked for."""
    monkeypatch.chdir(run_of_two_steps.parent)
    before = {path: path.read_bytes() for path in run_of_two_steps.glob("*.*")}
    asked = ["--data", str(data), "--out", str(run_of_two_steps), "--device", "cpu"]
    assert train.main([*asked, *CONTRADICTIONS[name]]) == 2
    said = capsys.readouterr().err
    assert f"other settings ({name}" in said
    assert "another --out" in said
    assert said.count("\n") == 1
    assert before == {path: path.read_bytes() for path in run_of_two_steps.glob("*.*")}


@pytest.mark.parametrize("options", [[], ["--steps", "2"], ["--configuration", "same.json", "--start-from", "none"]])
def test_a_run_goes_on_where_options_say_what_it_has(data, run_of_two_steps, monkeypatch, options):
    monkeypatch.chdir(run_of_two_steps.parent)
    before = (run_of_two_steps / STATE_FILE).read_bytes()
    asked = ["--data", str(data), "--out", str(run_of_two_steps), "--device", "cpu", "--workers", "0"]
    assert train.main([*asked, *options]) == 0
    assert (run_of_two_steps / STATE_FILE).read_bytes() == before


def test_a_run_does_not_go_on_with_another_split(data, run_of_two_steps, capsys):
    chosen = json.loads((run_of_two_steps / "split.json").read_text())
    turned = run_of_two_steps.parent / "turned.json"
    turned.write_text(json.dumps({"train": chosen["validation"], "validation": chosen["train"], "test": []}))
    asked = ["--data", str(data), "--out", str(run_of_two_steps), "--device", "cpu", "--workers", "0"]
    assert train.main([*asked, "--split", str(turned)]) == 2
    assert "is not the split of" in capsys.readouterr().err
    assert train.main([*asked, "--split", str(run_of_two_steps / "split.json")]) == 0


def test_a_folder_that_would_not_validate_is_named(data, run_of_two_steps, tmp_path, capsys):
    write_patient(tmp_path / "val", 3, slices=6)
    asked = ["--data", str(data), "--out", str(run_of_two_steps), "--device", "cpu"]
    assert train.main([*asked, "--validate-on", str(tmp_path / "val")]) == 2
    assert "none of it stands in the split" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"no state", "half", "another network"])
def test_a_broken_state_is_one_plain_line(data, run_of_two_steps, tmp_path, capsys, content):
    state = run_of_two_steps / STATE_FILE
    whole = state.read_bytes()
    if content == "another network":
        torch.save({**torch.load(state, weights_only=True), "network": {}}, state)
    else:
        state.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    try:
        assert train.main(["--data", str(data), "--out", str(run_of_two_steps), "--device", "cpu"]) == 2
    finally:
        state.write_bytes(whole)
    said = capsys.readouterr().err
    assert "state.pt is no state of this run" in said
    assert said.count("\n") == 1


def test_a_loss_that_is_no_number_ends_the_run(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(step, "lesion_loss", lambda logit, *_: logit.sum() * float("nan"))
    assert train.main(line(data, tmp_path, "--steps", "4")) == 2
    assert "the loss of step 1 is nan" in capsys.readouterr().err
    assert not (tmp_path / STATE_FILE).exists()


def test_what_the_served_path_refuses_is_one_plain_line(data, tmp_path, monkeypatch, capsys):
    def refuse(*_: object) -> None:
        raise WorkerError("the network gave values that are no probabilities")

    monkeypatch.setattr(train, "validate", refuse)
    assert train.main(line(data, tmp_path, "--steps", "2")) == 2
    assert capsys.readouterr().err == "training.train: the network gave values that are no probabilities\n"


def test_every_number_of_the_run_is_saved_beside_the_weights(data, tmp_path, quick_validation):
    quick_validation(0.5)
    assert train.main(line(data, tmp_path, "--steps", "2", "--learning-rate", ".004", "--seed", "9")) == 0
    saved = numbers.from_json((tmp_path / "configuration.json").read_text())
    assert (saved.steps, saved.learning_rate, saved.seed, saved.crop_px) == (2, 0.004, 9, 32)
    card = load(tmp_path / "weights").card
    of_card = {name: card.configuration[name] for name in ("learning_rate", "seed", "crop_px", "subset_law")}
    assert of_card == {"learning_rate": 0.004, "seed": 9, "crop_px": 32, "subset_law": saved.subset_law}
    chosen = json.loads((tmp_path / "split.json").read_text())
    assert sorted([*chosen["train"], *chosen["validation"]]) == ["0001", "0002"]


@pytest.mark.slow
def test_two_processes_train_one_network_and_go_on(tmp_path):
    """By torchrun over gloo, on patients that nobody has opened before: both processes index them at once."""
    for seed in (1, 2, 3, 4):
        write_patient(tmp_path / "patients", seed, slices=6)
    out = tmp_path / "run"
    for steps in (2, 4):
        told = torchrun(line(tmp_path / "patients", out, "--steps", str(steps), "--threads", "1"))
        assert told.returncode == 0, told.stderr[-3000:]
        state = torch.load(out / STATE_FILE, weights_only=True)
        assert state["step"] == steps
        assert all(bool(torch.isfinite(value).all()) for value in state["average"].values())
        saved = out / "configuration.json"
        saved.write_text(json.dumps({**json.loads(saved.read_text()), "steps": 4}))
    assert load(out / "weights").card.name == "quartet-ild"
    assert scalars(out)["loss"] == [2, 4]


POWER_FAILS = """
import os, sys
from training import step, train
train.SAVE_SECONDS = 0.
learn = step.Learner.learn
def until_the_power_fails(self, batch):
    if self.step == 3:
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


def torchrun(options: list[str], program: Sequence[str] = ("-m", "training.train")) -> subprocess.CompletedProcess[str]:
    root = str(Path(train.__file__).parents[1])
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": root}
    typed = [*LAUNCH, *program, *options]
    return subprocess.run(typed, capture_output=True, text=True, check=False, env=quiet)
