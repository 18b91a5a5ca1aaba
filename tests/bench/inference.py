"""`make bench-inference`: seconds a slice of the served network, beside the paper's network in eager float32.

One run, one machine: what counts is the ratio. Probabilities of the served engine are compared with eager float32 of
the same network on the same slices, those of a synthetic patient with metastases from chin to vertex, with all
sequences and with one. The paper: 250 ms a slice on two GTX 1080 Ti. Exit code 1: they differ by more than `LARGEST`;
2: weights or device cannot be used.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from model.channels import SEQUENCES, SIZE_PX, SLICES
from model.checkpoint import CheckpointError, load
from model.network import ARCHITECTURES, build
from training.cohort.patient import make_model_grid_patient
from training.cohort.protocol import Site
from worker.errors import WorkerError
from worker.inference.device import choose_device
from worker.inference.engine import CPU_BATCH, CUDA_BATCH, Engine, make_engine
from worker.inference.predict import Predictor, default_weights
from worker.inference.windows import window

PAPER_S_A_SLICE = 0.25
PAPERS_NETWORK = "deeplabv3_resnet50"
BATCHES = 4
"""So many of each subset are compared; the first is timed."""
LARGEST = 1e-4
"""Difference of a probability: float32 in another order is 1e-5, half precision and TF32 are 1e-3."""


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print one table; the exit code."""
    given = _arguments(words)
    try:
        return measure(given)
    except (CheckpointError, WorkerError) as error:
        print(error, file=sys.stderr)
        return 2


def measure(given: argparse.Namespace) -> int:
    """Print the table and what follows from it. Raises `CheckpointError` and `WorkerError`."""
    served = load(given.weights)
    device = choose_device(given.device)
    if given.threads:
        torch.set_num_threads(given.threads)
    batch = CUDA_BATCH if device.type == "cuda" else CPU_BATCH
    predictor = Predictor(given.weights, device=given.device, threads=given.threads)
    stack = make_model_grid_patient(seed=1, site=Site.A)[0]
    inputs = batches(stack, predictor, batch)
    channels = inputs[0].shape[1]
    papers = build(PAPERS_NETWORK, channels)
    print(f"{device}, {torch.get_num_threads()} threads, batch {batch}, {given.rounds} rounds (medians)")
    reference = _seconds(eager(papers, device), inputs[0], given.rounds)
    print(f"| {'network':30} | {'engine':8} | s a slice | of eager {PAPERS_NETWORK} | GFLOP | largest difference |")
    print("| --- | --- | --- | --- | --- | --- |")
    print(f"| {PAPERS_NETWORK:30} | {'eager':8} | {reference:9.4f} | 1.000 | {gigaflop(papers, channels):5.1f} | |")
    networks = {f"served: {served.card.architecture}": served.network}
    networks |= {name: build(name, channels).eval() for name in given.architectures}
    differences = {name: compare(name, network, device, inputs, given, reference) for name, network in networks.items()}
    answer = study(stack, predictor, reference)
    differences["the whole served answer"] = whole(answer, stack, predictor, eager(served.network, device))
    return verdict(differences)


def batches(stack: np.ndarray, predictor: Predictor, batch: int) -> list[np.ndarray]:
    """(B, C, 256, 256) float32 each, as the served path makes them of (4, Z, 256, 256): `BATCHES` through the head.

    First of all sequences, then of the first that the network reads alone.
    """
    slices = np.linspace(0, stack.shape[1] - 1, BATCHES * batch).astype(int)
    made = []
    for present in ((True,) * len(SEQUENCES), tuple(name == predictor.card.sequences[0] for name in SEQUENCES)):
        encoded = predictor._encode(stack, present)
        windows = np.stack([window(encoded, int(centre), predictor.card.edge_rule) for centre in slices])
        made.extend(windows.reshape(BATCHES, batch, SLICES * len(encoded), SIZE_PX, SIZE_PX))
    return made


def compare(
    name: str,
    network: nn.Module,
    device: torch.device,
    inputs: list[np.ndarray],
    given: argparse.Namespace,
    reference: float,
) -> float:
    """Print eager and engine of one network; the largest difference of their probabilities."""
    plain = eager(network, device)
    engine = make_engine(network, device=device, shape=inputs[0].shape, threads=given.threads)
    difference = float(np.max([np.abs(engine(one) - plain(one)).max() for one in inputs]))
    cost = gigaflop(network, inputs[0].shape[1])
    for kind, run, note in (("eager", plain, ""), ("engine", engine, f"{difference:.1e}")):
        seconds = _seconds(run, inputs[0], given.rounds)
        print(
            f"| {name:30} | {kind:8} | {seconds:9.4f} | {seconds / reference:.3f} | {cost:5.1f} | {note} |", flush=True
        )
    return difference


def verdict(differences: dict[str, float]) -> int:
    """Name the networks whose engine does not answer as eager torch does; the exit code."""
    wrong = [name for name, difference in differences.items() if not difference <= LARGEST]
    for name in wrong:
        print(f"{name}: the engine differs from eager float32 by {differences[name]:.1e}, more than {LARGEST:.0e}")
    return 1 if wrong else 0


def study(stack: np.ndarray, predictor: Predictor, reference: float) -> np.ndarray:
    """Print the time of a whole study, normalisation and all looks included; gives its answer.

    Twice: for the sizes of boxes that it meets first the engine prepares itself, as a worker's does but once. A next
    study meets some that were not met before, so that its time lies between the two.
    """
    taken = []
    for _ in range(2):
        start = time.perf_counter()
        answer = predictor.predict(stack, (True,) * 4)
        taken.append(time.perf_counter() - start)
    first, seconds = taken
    count = stack.shape[1]
    print(
        f"a study of {count} slices: {seconds:.1f} s (the first {first:.1f} s), {seconds / count:.4f} s a slice, "
        f"{seconds / count / reference:.3f} of eager {PAPERS_NETWORK}; the paper {PAPER_S_A_SLICE} s"
    )
    return answer


def whole(answer: np.ndarray, stack: np.ndarray, predictor: Predictor, plain: Engine) -> float:
    """Print how far the served answer is from that of the same path with eager torch, all looks with it."""
    predictor._engines = dict.fromkeys(predictor._engines, plain)
    expected = predictor.predict(stack, (True,) * 4)
    difference = float(np.abs(answer - expected).max())
    threshold = predictor.identity((True,) * 4).threshold
    called = f"{int((answer >= threshold).sum())} voxels called, {int((expected >= threshold).sum())} by eager torch"
    print(f"the same path with eager float32: largest difference {difference:.1e}, {called}")
    return difference


def eager(network: nn.Module, device: torch.device) -> Engine:
    """float32 torch, as a tutorial would run it."""
    network = network.eval().to(device)

    def run(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), full_float32():
            return network(torch.from_numpy(batch).to(device)).sigmoid().cpu().numpy()

    return run


@contextmanager
def full_float32() -> Iterator[None]:
    """No TF32 on CUDA, with its 10 bits of mantissa: torch allows it in convolutions, and the engine so uses it."""
    parts = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [part.allow_tf32 for part in parts]
    for part in parts:
        part.allow_tf32 = False
    try:
        yield
    finally:
        for part, allowed in zip(parts, before, strict=True):
            part.allow_tf32 = allowed


def gigaflop(network: nn.Module, channels: int) -> float:
    """Floating-point operations of one slice, in 1e9."""
    device = next(network.eval().parameters()).device
    with torch.inference_mode(), FlopCounterMode(display=False) as counted:
        network(torch.zeros(1, channels, SIZE_PX, SIZE_PX, device=device))
    return counted.get_total_flops() / 1e9


def _seconds(run: Callable[[np.ndarray], np.ndarray], inputs: np.ndarray, rounds: int) -> float:
    run(inputs)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run(inputs)
        times.append(time.perf_counter() - start)
    return statistics.median(times) / len(inputs)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=default_weights())
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--architectures", nargs="*", choices=ARCHITECTURES, default=["deeplabv3_mobilenet_v3_large", PAPERS_NETWORK]
    )
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
