"""What a run shows where no terminal is: a log by the minute, TensorBoard's events."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.watch import Blind, Watch


def test_a_log_gets_a_line_a_minute_with_the_time_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Steps of 6 s; validation after 20 of 100, which takes 10 minutes, does not count as steps that were slow."""
    now = [1000.0]
    with Watch(tmp_path, start=0, steps=100, clock=lambda: now[0]) as watch:
        for step in range(1, 31):
            now[0] += 6
            watch.learned(step, 0.5 if step <= 10 else 0.25)
            if step == 20:
                now[0] += 600
                watch.validated(20, {"FLAIR": 0.125}, best=True)
        watch.say("training ends")
    assert capsys.readouterr().out.splitlines() == [
        "step 10 of 100: loss 0.500, 9 min left",
        "step 20 of 100: loss 0.375, 8 min left",
        "step 20: loss 0.375, validation Dice FLAIR 0.125 (best yet)",
        "step 30 of 100: loss 0.250, 7 min left",
        "training ends",
    ]


def test_tensorboard_gets_the_loss_of_each_fifty_steps_and_of_what_is_left_of_an_epoch(tmp_path: Path) -> None:
    with Watch(tmp_path, start=0, steps=200) as watch:
        for step in range(1, 121):
            watch.learned(step, 1.0 if step <= 50 else 0.5 if step <= 100 else 0.25)
        watch.validated(120, {"FLAIR": 0.5}, best=False)
    told = EventAccumulator(str(tmp_path / "events"))
    told.Reload()
    assert [(event.step, event.value) for event in told.Scalars("loss")] == [(50, 1.0), (100, 0.5), (120, 0.25)]


def test_the_other_processes_show_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Blind() as blind:
        blind.learned(1, 0.5)
        blind.validated(1, {"FLAIR": 0.5}, best=True)
        blind.say("training ends")
    assert capsys.readouterr().out == ""
