"""A folder of weights: weights.safetensors and card.json, loaded only when the one is what the other says.

Written by training/export, read by worker/inference and training/evaluate. Knows no DICOM. The format executes nothing
on loading (safetensors, JSON).
"""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from model.card import Card, CardError, from_json, to_json
from model.channels import SLICES
from model.network import build

WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "card.json"
DEFAULT_FOLDER = Path(__file__).parent / "weights"
"""The weights that come with this release."""


class CheckpointError(Exception):
    """The weights are missing, altered or of a foreign form. The text says which file and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A network in evaluation mode with its card."""

    network: nn.Module
    card: Card
    digest: str
    """SHA-256 over the weights' digest and the card: another threshold is another model, and gives other UIDs."""


def save(folder: Path, network: nn.Module, card: Card) -> Card:
    """Write weights and card into `folder`, and give the card with the digest of the weights in it.

    Both are whole before either takes its place: where the disk is full, what lay there stays. Raises `CheckpointError`
    where they cannot be written.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    content = save_tensors(tensors)
    signed = replace(card, weights_sha256=hashlib.sha256(content).hexdigest())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder, {WEIGHTS_FILE: content, CARD_FILE: to_json(signed).encode()})
    except OSError as error:
        raise CheckpointError(
            f"{folder} cannot be written ({error.strerror}): make room there, or give another folder"
        ) from error
    return signed


def verify(folder: Path) -> None:
    """Tell whether `load` would take a folder, in less time and memory. Raises `CheckpointError`.

    Safe before a fork: the network is built without numbers (torch's meta device), and no pool of threads is begun.
    """
    card, _, content, _ = _read_verified(folder)
    _network(folder, card, content, torch.device("meta"))


def read_card(folder: Path) -> Card:
    """The card of a folder of weights, without a look at the weights. Raises `CheckpointError`."""
    return _read_card(folder)[0]


def load(folder: Path) -> Checkpoint:
    """Read a folder of weights. Raises `CheckpointError` for anything but a whole, unaltered set of this form."""
    card, card_text, content, digest = _read_verified(folder)
    network = _network(folder, card, content, torch.device("cpu"))
    combined = hashlib.sha256(digest.encode() + card_text).hexdigest()
    return Checkpoint(network=network.eval(), card=card, digest=combined)


def _network(folder: Path, card: Card, content: bytes, device: torch.device) -> nn.Module:
    """The network of a card with the tensors in it; on the meta device they are attached, not copied."""
    try:
        with device:
            network = build(card.architecture, SLICES * len(card.sequences))
        tensors = load_tensors(content)
        _check_values(folder / WEIGHTS_FILE, tensors, network.state_dict())
        network.load_state_dict(tensors, assign=device.type == "meta")
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder} does not hold a network of this release ({card.architecture}): {error}; "
            "export it again with `python -m training.export`"
        ) from error
    return network


def _check_values(path: Path, tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Refuse another type of numbers, and what is no number: a ReLU would turn it into a silent zero.

    By numpy: torch would begin its pool of threads, which does not outlive a fork.
    """
    for name in (name for name in own if name in tensors):
        tensor = tensors[name]
        if tensor.dtype != own[name].dtype:
            theirs, ours = (str(one.dtype).removeprefix("torch.") for one in (tensor, own[name]))
            raise CheckpointError(
                f"{path}: {name} is {theirs} and the network computes in {ours}; save and export the network in {ours}"
            )
        if tensor.is_floating_point() and not np.isfinite(tensor.numpy()).all():
            raise CheckpointError(
                f"{path}: {name} holds values that are not finite, which could hide every lesion; "
                "export an earlier state of the training, or train again"
            )


def _replace(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files beside their places, then move each into its own. Raises OSError, and leaves no draft."""
    drafts = {name: folder / f"{name}.new" for name in files}
    try:
        for name, content in files.items():
            drafts[name].write_bytes(content)
        for name, draft in drafts.items():
            draft.replace(folder / name)
    finally:
        for draft in drafts.values():
            with contextlib.suppress(OSError):
                draft.unlink()


def _read_verified(folder: Path) -> tuple[Card, bytes, bytes, str]:
    card, card_text = _read_card(folder)
    content = _read(folder / WEIGHTS_FILE)
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.weights_sha256:
        raise CheckpointError(
            f"{folder / WEIGHTS_FILE} was altered: its SHA-256 is {digest[:12]}..., the card says "
            f"{card.weights_sha256[:12]}...; copy weights and card again from where they were exported"
        )
    return card, card_text, content, digest


def _read_card(folder: Path) -> tuple[Card, bytes]:
    text = _read(folder / CARD_FILE)
    try:
        return from_json(text), text
    except CardError as error:
        raise CheckpointError(
            f"{folder / CARD_FILE} cannot be used: {error}; export the weights again with `python -m training.export`"
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        of_run = path.parent / "weights"
        hint = f"; {of_run} is one" if (of_run / CARD_FILE).exists() else ""
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror}): a folder of weights holds {WEIGHTS_FILE} and {CARD_FILE}{hint}"
        ) from error
