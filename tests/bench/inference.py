"""`make bench-inference`: seconds a slice of the served network, beside the paper's network in eager float32.

One run, one machine: what counts is the ratio. Probabilities of the served engine are compared with eager float32 of
the same network on the same slices, those of a synthetic patient with metastases from chin to vertex. The paper: 250 ms
a slice on two GTX 1080 Ti.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from model.card import Card
from model.channels import CHANNELS, SIZE_PX
from model.checkpoint import load
from model.network import ARCHITECTURES, build
from training.cohort.patient import make_model_grid_patient
from training.cohort.protocol import Site
from worker.inference.device import choose_device
from worker.inference.engine import CPU_BATCH, CUDA_BATCH, Engine, make_engine
from worker.inference.predict import Predictor, default_weights
from worker.inference.windows import window

PAPER_S_A_SLICE = 0.25
PAPERS_NETWORK = "deeplabv3_resnet50"
BATCHES = 8
"""So many are compared; the first is timed."""


def main() -> None:
    """Measure and print one table."""
    given = _arguments()
    if given.threads:
        torch.set_num_threads(given.threads)
    device = choose_device(given.device)
    batch = CUDA_BATCH if device.type == "cuda" else CPU_BATCH
    served = load(given.weights)
    stack = make_model_grid_patient(seed=1, site=Site.A)[0]
    inputs = batches(stack, served.card, batch)
    print(f"{device}, {torch.get_num_threads()} threads, batch {batch}, {given.rounds} rounds (medians)")
    reference = _seconds(eager(build(PAPERS_NETWORK), device), inputs[0], given.rounds)
    print(f"| {'network':30} | {'engine':8} | s a slice | of eager {PAPERS_NETWORK} | GFLOP | largest difference |")
    print("| --- | --- | --- | --- | --- | --- |")
    print(
        f"| {PAPERS_NETWORK:30} | {'eager':8} | {reference:9.4f} | 1.000 | {gigaflop(build(PAPERS_NETWORK)):5.1f} | |"
    )
    networks = {f"served: {served.card.architecture}": served.network}
    networks |= {name: build(name).eval() for name in given.architectures}
    for name, network in networks.items():
        compare(name, network, device, inputs, given, reference)
    study(stack, given)


def batches(stack: np.ndarray, card: Card, batch: int) -> list[np.ndarray]:
    """(B, 20, 256, 256) float32 each, as the served path makes them of (4, Z, 256, 256): `BATCHES` through the head."""
    encoded = np.stack([card.normalisation.apply(sequence) for sequence in stack])
    slices = np.linspace(0, stack.shape[1] - 1, BATCHES * batch).astype(int)
    windows = np.stack([window(encoded, int(centre), card.edge_rule) for centre in slices]).astype(np.float32)
    return list(windows.reshape(BATCHES, batch, CHANNELS, SIZE_PX, SIZE_PX))


def compare(
    name: str,
    network: nn.Module,
    device: torch.device,
    inputs: list[np.ndarray],
    given: argparse.Namespace,
    reference: float,
) -> None:
    """Print eager and engine of one network."""
    plain = eager(network, device)
    shape = inputs[0].shape
    engine = make_engine(network, device=device, shape=shape, threads=given.threads)
    difference = max(float(np.abs(engine(one) - plain(one)).max()) for one in inputs)
    for kind, run, note in (("eager", plain, ""), ("engine", engine, f"{difference:.1e}")):
        seconds = _seconds(run, inputs[0], given.rounds)
        cost = gigaflop(network)
        print(
            f"| {name:30} | {kind:8} | {seconds:9.4f} | {seconds / reference:.3f} | {cost:5.1f} | {note} |", flush=True
        )


def study(stack: np.ndarray, given: argparse.Namespace) -> None:
    """Print the time of a whole study, normalisation included."""
    predictor = Predictor(given.weights, device=given.device, threads=given.threads)
    start = time.perf_counter()
    predictor.predict(stack, (True,) * 4)
    seconds = time.perf_counter() - start
    count = stack.shape[1]
    print(f"a study of {count} slices: {seconds:.1f} s, {seconds / count:.4f} s a slice; the paper {PAPER_S_A_SLICE}")


def eager(network: nn.Module, device: torch.device) -> Engine:
    """float32 torch, as a tutorial would run it."""
    network = network.eval().to(device)

    def run(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(batch).to(device)).sigmoid().cpu().numpy()

    return run


def gigaflop(network: nn.Module) -> float:
    """Floating-point operations of one slice, in 1e9."""
    device = next(network.eval().parameters()).device
    with torch.inference_mode(), FlopCounterMode(display=False) as counted:
        network(torch.zeros(1, CHANNELS, SIZE_PX, SIZE_PX, device=device))
    return counted.get_total_flops() / 1e9


def _seconds(run: Callable[[np.ndarray], np.ndarray], inputs: np.ndarray, rounds: int) -> float:
    run(inputs)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run(inputs)
        times.append(time.perf_counter() - start)
    return statistics.median(times) / len(inputs)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=default_weights())
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--architectures", nargs="*", choices=ARCHITECTURES, default=["deeplabv3_mobilenet_v3_large", PAPERS_NETWORK]
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
