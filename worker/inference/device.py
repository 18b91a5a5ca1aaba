"""Which processor runs the network. Called by worker/inference/predict; knows torch only."""

import torch

from worker.errors import WorkerError

DEVICES = ("auto", "cpu", "cuda")


def choose_device(wish: str) -> torch.device:
    """`auto` is CUDA where a GPU answers, else the CPU; `cuda` insists. Raises `WorkerError` where it cannot be had."""
    if wish not in DEVICES:
        raise WorkerError(f"no device {wish!r}: worker.device is one of {', '.join(DEVICES)}")
    if wish == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if wish == "cuda":
        raise WorkerError("worker.device is cuda, but no GPU answers: check nvidia-smi and the CUDA build of torch")
    return torch.device("cpu")
