"""One optimisation step and the state that a resumed run needs: network, running mean, optimiser, step number.

Called by training/train. Mixed precision is bfloat16 on a CPU with units for it, float16 with loss scaling on CUDA.
"""

import copy
import math
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model.channels import SLICES
from model.network import build
from training.configuration import Configuration
from training.errors import TrainingError
from training.losses import lesion_loss
from training.sampling import Batch

STATE_FILE = "state.pt"
BROKEN = (EOFError, RuntimeError, ValueError, KeyError, TypeError, pickle.UnpicklingError)
"""What torch raises for a state that is torn, or another network's."""


class Learner:
    """The moving parts of a run."""

    def __init__(self, configuration: Configuration, device: torch.device, *, parallel: bool = False) -> None:
        self.configuration = configuration
        self.device = device
        torch.manual_seed(configuration.seed)
        network = build(configuration.architecture, SLICES * len(configuration.sequences))
        self.network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average: nn.Module = copy.deepcopy(self.network).eval()
        """The running mean of the weights: what is validated and exported."""
        self.called = nn.parallel.DistributedDataParallel(self.network) if parallel else self.network
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=configuration.learning_rate, weight_decay=configuration.weight_decay
        )
        self.precision = precision(device) if configuration.mixed_precision else None
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision is torch.float16)
        self.step = 0

    def learn(self, batch: Batch) -> float:
        """One step on one batch; gives its loss. Raises `TrainingError` where that is not finite."""
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.configuration)
        inputs = batch.inputs.to(self.device, memory_format=torch.channels_last, non_blocking=True)
        target = batch.target.to(self.device, non_blocking=True)
        with torch.autocast(self.device.type, dtype=self.precision, enabled=self.precision is not None):
            logit = self.called(inputs)
        loss = lesion_loss(logit, target, self.configuration)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.configuration.gradient_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.step += 1
        self._follow()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(f"the loss of step {self.step} is {value}: begin anew with a lower --learning-rate")
        return value

    @torch.no_grad()
    def _follow(self) -> None:
        """The running mean follows quickly at first, then with the configured decay."""
        share = 1 - min(self.configuration.average, (1 + self.step) / (20 + self.step))
        pairs = zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True)
        for kept, fresh in pairs:
            kept.lerp_(fresh, share) if kept.is_floating_point() else kept.copy_(fresh)

    def save(self, folder: Path, extra: dict[str, Any]) -> None:
        """Write the whole state atomically; `extra` are plain values."""
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "extra": extra,
        }
        temporary = folder / (STATE_FILE + ".tmp")
        torch.save(state, temporary)
        temporary.replace(folder / STATE_FILE)

    def resume(self, folder: Path) -> dict[str, Any]:
        """Go on from a saved state; gives `extra`. Raises `TrainingError` where it is broken or another network's."""
        try:
            state: dict[str, Any] = torch.load(folder / STATE_FILE, map_location=self.device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.scaler.load_state_dict(state["scaler"])
            self.step = int(state["step"])
            extra: dict[str, Any] = state["extra"]
        except (OSError, *BROKEN) as error:
            raise _no_state(folder, error) from error
        return extra

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Begin with weights of an earlier run instead of random ones."""
        self.network.load_state_dict(weights)
        self.average.load_state_dict(weights)


def saved_step(folder: Path) -> int | None:
    """The step of the state that stands in a folder; None where there is none. Raises `TrainingError` where torn."""
    path = folder / STATE_FILE
    if not path.exists():
        return None
    try:
        return int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["step"])
    except BROKEN as error:
        raise _no_state(folder, error) from error


def _no_state(folder: Path, error: BaseException) -> TrainingError:
    why = str(error).partition("\n")[0]
    return TrainingError(f"{folder / STATE_FILE} is no state of this run ({why}): remove it to begin anew")


def learning_rate(step: int, configuration: Configuration) -> float:
    """Linear warm-up, then a cosine to nothing."""
    warm = min(1.0, (step + 1) / max(1, configuration.warmup_steps))
    return configuration.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * min(1.0, step / configuration.steps)))


def precision(device: torch.device) -> torch.dtype | None:
    """The type of mixed precision that pays on a device; None where none does."""
    if device.type == "cuda":
        return torch.float16
    quick: bool = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if quick else None
