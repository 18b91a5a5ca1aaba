"""`python -m training.train`: train the ILD model, or the paper's comparator, on patients on the model's grid.

Writes into --out: configuration.json, split.json, TensorBoard events; every five minutes and at the end of each epoch
(--steps-per-epoch), before and after its validation, state.pt, from which the same line goes on, also after Ctrl-C;
after each epoch that was the best so far weights/, the running mean, which training.export turns into weights that the
node serves.
"""

import argparse
import gc
import json
import math
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Subset

from model.checkpoint import Checkpoint, CheckpointError, load
from model.input_dropout import SubsetLaw
from model.network import ARCHITECTURES
from model.subsets import subset_name
from training import out_folder
from training.configuration import Configuration, TverskyOver, comparator, read, to_json
from training.enrolment import enrol, saved_origin
from training.errors import TrainingError
from training.interruption import INTERRUPTED, Interruption, ignore, interruptible
from training.patients import Patient
from training.sampling import Batch, Steps
from training.split import Split
from training.step import STATE_FILE, Learner, saved_step
from training.validate import subsets_of, validate, write_weights
from training.watch import Blind, Watch
from worker.errors import WorkerError

SAVE_SECONDS = 300.0
"""Between two states within an epoch: what a run loses at most where it is broken off as it learns."""
EXAMPLE = """examples
  python -m training.cohort cache --help                                   make synthetic patients
  python -m training.prepare --cases brainmetshare DIR --out patients      bring your own onto the model's grid
  python -m training.train --data patients --out runs/ild                  train; the same line again goes on
  python -m training.train --data patients --out runs/dlv3 --without-dropout --architecture deeplabv3_resnet50
  python -m training.train --data patients --start-from runs/ild/weights --out runs/longer   further than its end
  torchrun --nproc-per-node 4 -m training.train --data patients --out runs/ild
  python -m training.export runs/ild --validation patients --version 1 --out weights   for worker.weights
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Which of several processes this is, and where it computes."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exit code 2 with one plain line where the data or the options cannot be used, 130 after Ctrl-C.

    Any other fault keeps its trace: hours of training should not end in a line that says where nothing went wrong.
    """
    given = _parser().parse_args(arguments)
    with interruptible() as interruption:
        try:
            run(given, interruption)
            return 0
        except (TrainingError, CheckpointError, WorkerError) as error:
            print(f"training.train: {error}", file=sys.stderr)  # noqa: T201
            return 2
        except (KeyboardInterrupt, Exception):
            if not interruption.asked:
                raise
            ignore()
        return _stopped(given.out)  # what learned and loaded is let go by now


def _stopped(out: Path) -> int:
    """Say what stands after Ctrl-C; gives the exit code. One of several processes ends here: the others are gone."""
    try:
        step = saved_step(out)
        what = f"the state of step {step} stands in {out}, the same line goes on" if step else "nothing was saved yet"
    except TrainingError as error:
        what = str(error)
    if os.environ.get("RANK", "0") == "0":
        print(f"training.train: stopped; {what}", file=sys.stderr, flush=True)  # noqa: T201
    if torch.distributed.is_initialized():
        sys.stdout.flush()
        os._exit(INTERRUPTED)  # an orderly end waits for all of them
    return INTERRUPTED


def run(given: argparse.Namespace, interruption: Interruption) -> None:
    """Train as asked."""
    if given.threads:
        torch.set_num_threads(given.threads)
    place = _place(given.device)
    out_folder.make(given.out)
    configuration = _configuration(given)
    patients, chosen = enrol(given)
    trained, validated = ([patients[name] for name in part] for part in (chosen.train, chosen.validation))
    notes = _notes(trained, validated, configuration)
    goes_on = (given.out / STATE_FILE).exists()
    start = _weights(given.start_from, configuration) if given.start_from and not goes_on else None
    if place.count > 1:
        torch.distributed.barrier()  # all have read the folder before the first writes to it
    if place.first:
        (given.out / "configuration.json").write_text(to_json(configuration))
        origin = saved_origin(given.out) if goes_on else _called(start)
        (given.out / "split.json").write_text(_split_json(chosen, given, origin))
        print("".join(f"{note}\n" for note in notes), end="")  # noqa: T201
    learner = Learner(configuration, place.device, parallel=place.count > 1)
    best = {"score": -1.0, "epoch": 0.0, "judged": 0.0}
    if goes_on:
        best = learner.resume(given.out)
        best.setdefault("judged", float(learner.step))  # states of earlier releases were written after it only
        if place.first and not _over(learner, best):
            print(f"{given.out} goes on from step {learner.step}")  # noqa: T201
    elif start is not None:
        learner.start_from(start.network.state_dict())
    _epochs(learner, Steps(trained, configuration, place.rank), validated, best, given, place, interruption)
    if place.first:
        print(_end(learner, best, given.out))  # noqa: T201
    if place.count > 1:
        _part(learner)


def _over(learner: Learner, best: Mapping[str, float]) -> bool:
    """Whether a saved run is finished."""
    configuration = learner.configuration
    if _unjudged(best, learner):
        return False
    return learner.step >= configuration.steps or _idle(best, learner.step // configuration.steps_per_epoch, learner)


def _unjudged(best: Mapping[str, float], learner: Learner) -> bool:
    """Whether an epoch is over and its validation is not, as where a run was broken off within it."""
    configuration = learner.configuration
    over = learner.step % configuration.steps_per_epoch == 0 or learner.step >= configuration.steps
    return over and best["judged"] < learner.step


def _end(learner: Learner, best: Mapping[str, float], out: Path) -> str:
    """What to say of a finished run, each time that it is asked to go on."""
    return (
        f"{out} is finished at step {learner.step}; its best weights, of epoch {best['epoch']:.0f}, stand in "
        f"{out / 'weights'}. To train them longer: --start-from {out / 'weights'} and another --out"
    )


def _split_json(chosen: Split, given: argparse.Namespace, origin: str) -> str:
    """Who takes part, of which folders, and the weights that the run began with."""
    places = {"data": given.data, "validate_on": given.validate_on}
    folders = {name: [str(place.resolve()) for place in found] for name, found in places.items()}
    return json.dumps({**asdict(chosen), **folders, "start_from": origin}, indent=1) + "\n"


def _called(start: Checkpoint | None) -> str:
    """Weights by name, for split.json and so for the card; empty for random ones."""
    return f"{start.card.name} {start.card.version}, SHA-256 {start.card.weights_sha256[:12]}" if start else ""


def _notes(trained: Sequence[Patient], validated: Sequence[Patient], configuration: Configuration) -> list[str]:
    """What to say before the first step. Raises `TrainingError` where nothing can be validated."""
    subsets = subsets_of(validated, configuration)
    notes = []
    if not set(subsets) <= set(configuration.validation_subsets):
        notes.append(f"no validation subset fits the validation patients: they validate {subset_name(subsets[0])}")
    persons = ({one.subject for one in part if one.subject != one.name} for part in (trained, validated))
    if both := sorted(set.intersection(*persons)):
        notes.append(f"of the same person, if {', '.join(both)} is one, exams train and exams validate")
    return notes


def _weights(folder: Path, configuration: Configuration) -> Checkpoint:
    """Weights to begin with. Raises `CheckpointError`, or `TrainingError` where they are of another network."""
    found = load(folder)
    theirs, ours = (f"{one.architecture} of {len(one.sequences)} sequences" for one in (found.card, configuration))
    if theirs != ours:
        raise TrainingError(f"--start-from {folder} is a {theirs}, this run trains a {ours}: give weights that match")
    return found


def _part(learner: Learner) -> None:
    """End the group of processes. What still holds it at the interpreter's end may abort there: its threads run on."""
    learner.called = learner.network
    gc.collect()
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def _epochs(
    learner: Learner,
    trained: Steps,
    validated: Sequence[Patient],
    best: dict[str, float],
    given: argparse.Namespace,
    place: Place,
    interruption: Interruption,
) -> None:
    configuration = learner.configuration
    length = configuration.steps_per_epoch
    watch = Watch(given.out, start=learner.step, steps=configuration.steps) if place.first else Blind()
    saved = time.monotonic()
    with watch:
        while True:
            if _unjudged(best, learner):
                best["judged"], epoch = float(learner.step), math.ceil(learner.step / length)
                if place.first:
                    scores = validate(learner.average, validated, configuration)
                    interruption.heed()  # the engine may have taken it for a fault of its own, and another judged
                    _keep(learner, scores, best, epoch, given.out)
                    watch.validated(learner.step, scores, best=best["epoch"] == epoch)
            if learner.step >= configuration.steps:
                return
            if _worn_out(best, learner.step // length, learner, place):
                watch.say(f"no better validation since epoch {best['epoch']:.0f}: training ends")
                return
            end = min((learner.step // length + 1) * length, configuration.steps)
            for batch in interruption.between(_batches(trained, range(learner.step, end), given.workers)):
                loss = learner.learn(batch)
                watch.learned(learner.step, loss)
                if place.first and (learner.step == end or time.monotonic() - saved >= SAVE_SECONDS):
                    learner.save(given.out, best)
                    saved = time.monotonic()


def _keep(
    learner: Learner,
    scores: Mapping[str, float],
    best: dict[str, float],
    epoch: int,
    out: Path,
) -> None:
    """Keep the running mean where its Dice by subset is the best so far, and save the state."""
    mean = sum(scores.values()) / len(scores)
    if mean > best["score"]:
        best.update(score=mean, epoch=float(epoch))
        write_weights(out / "weights", learner.average, learner.configuration, learner.step, scores)
    learner.save(out, best)


def _batches(trained: Steps, steps: range, workers: int) -> Iterable[Batch]:
    """Batches in the order of their step numbers, made ahead by other processes."""
    return DataLoader(
        Subset(trained, steps),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=ignore,
    )


def _idle(best: Mapping[str, float], epoch: int, learner: Learner) -> bool:
    """Whether the epochs so far brought nothing for too long."""
    return epoch - best["epoch"] >= learner.configuration.patience


def _worn_out(best: Mapping[str, float], epoch: int, learner: Learner, place: Place) -> bool:
    """The same as the first process says: it alone validates."""
    verdict = torch.tensor([float(_idle(best, epoch, learner))], device=place.device)
    if place.count > 1:
        torch.distributed.broadcast(verdict, 0)
    return bool(verdict.item())


def _place(wish: str) -> Place:
    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    cuda = wish == "cuda" or (wish == "auto" and torch.cuda.is_available())
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda and not torch.cuda.is_available():
        raise TrainingError("--device cuda: torch finds no CUDA device here; --device auto takes what there is")
    if cuda:
        torch.cuda.set_device(device)
    if count > 1:
        torch.distributed.init_process_group("nccl" if cuda else "gloo")
    return Place(rank=rank, count=count, device=device)


def _configuration(given: argparse.Namespace) -> Configuration:
    """The saved one of a run that goes on, else defaults, file and options, the later the stronger.

    Raises `TrainingError` where what was asked for is not what the run has.
    """
    asked = _asked(given)
    if not (given.out / STATE_FILE).exists():
        return replace(Configuration(), **asked)
    saved = read(given.out / "configuration.json")
    others = {name: getattr(saved, name) for name, value in asked.items() if getattr(saved, name) != value}
    if others:
        its = ", ".join(
            f"{name} {value}" if isinstance(value, str | float | int) else name for name, value in others.items()
        )
        raise TrainingError(
            f"{given.out} is a run with other settings ({its}): leave these options out to go on, or give another --out"
        )
    return saved


def _asked(given: argparse.Namespace) -> dict[str, Any]:
    """The numbers that file and options name, the later the stronger."""
    asked: dict[str, Any] = {}
    if given.configuration:
        base = read(given.configuration)
        asked = {name: getattr(base, name) for name in json.loads(given.configuration.read_text())}
    if given.without_dropout:
        asked |= comparator()
    names = ("architecture", "steps", "batch", "crop_px", "learning_rate", "steps_per_epoch", "seed")
    asked |= {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    kinds = {"subset_law": SubsetLaw, "tversky_over": TverskyOver}
    return asked | {name: kind(getattr(given, name)) for name, kind in kinds.items() if getattr(given, name)}


def _count(text: str, least: int = 1) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least}")
    return int(text)


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"{text} is no share: 0 or more, and less than 1")
    return share


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.train",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    defaults = Configuration()
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of NAME/{stack,mask,brain}.npy")
    parser.add_argument("--validate-on", type=Path, nargs="+", default=[], help="folders whose patients validate")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the run; one that exists goes on, with its settings"
    )
    parser.add_argument("--without-dropout", action="store_true", help="the comparator: three sequences, no dropout")
    parser.add_argument("--architecture", choices=ARCHITECTURES, help=f"default {defaults.architecture}")
    parser.add_argument(
        "--subset-law", choices=["uniform", "count", "bernoulli"], help=f"default {defaults.subset_law}"
    )
    parser.add_argument(
        "--tversky-over",
        choices=[str(over) for over in TverskyOver],
        help=f"crop: small lesions and false objects weigh more; default {defaults.tversky_over}",
    )
    said = {"steps_per_epoch": "; after as many it validates, keeps the best weights and writes its state"}
    for name in ("steps", "batch", "crop_px", "steps_per_epoch"):
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=_count, help=f"default {getattr(defaults, name)}{said.get(name, '')}")
    from_zero = partial(_count, least=0)
    parser.add_argument("--seed", type=from_zero, help=f"default {defaults.seed}")
    parser.add_argument("--learning-rate", type=float, help=f"default {defaults.learning_rate}")
    parser.add_argument("--configuration", type=Path, help="configuration.json of another run, as a start")
    parser.add_argument("--start-from", type=Path, help="folder of weights to begin with")
    parser.add_argument("--split", type=Path, help="split.json (default: drawn, and saved in --out)")
    parser.add_argument("--train-site", default="", help="site that trains; the others validate and test")
    parser.add_argument(
        "--validation", type=_share, default=0.1, help="share of the persons that validates (default .1)"
    )
    parser.add_argument("--test", type=_share, default=0.0, help="share that training.export --test takes (default 0)")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--threads", type=from_zero, default=0, help="of torch; 0 leaves them")
    parser.add_argument("--workers", type=from_zero, default=1, help="processes that make batches (default 1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
