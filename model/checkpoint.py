"""A folder of weights: weights.safetensors and card.json, loaded only when the one is what the other says.

Written by training/export, read by worker/inference and training/evaluate. Knows no DICOM. The format executes nothing
on loading (safetensors, JSON).
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

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
    """Write weights and card into `folder`, and give the card with the digest of the weights in it."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    content = save_tensors(tensors)
    signed = replace(card, weights_sha256=hashlib.sha256(content).hexdigest())
    (folder / WEIGHTS_FILE).write_bytes(content)
    (folder / CARD_FILE).write_text(to_json(signed), encoding="utf-8")
    return signed


def verify(folder: Path) -> None:
    """Tell whether a folder holds whole, unaltered weights, without building the network. Raises `CheckpointError`."""
    _read_verified(folder)


def load(folder: Path) -> Checkpoint:
    """Read a folder of weights. Raises `CheckpointError` for anything but a whole, unaltered set of this form."""
    card, card_text, content, digest = _read_verified(folder)
    try:
        network = build(card.architecture, SLICES * len(card.sequences))
        network.load_state_dict(load_tensors(content))
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder} does not hold a network of this release ({card.architecture}): {error}; "
            "export it again with `python -m training.export`"
        ) from error
    combined = hashlib.sha256(digest.encode() + card_text).hexdigest()
    return Checkpoint(network=network.eval(), card=card, digest=combined)


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
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror}): a folder of weights holds {WEIGHTS_FILE} and {CARD_FILE}; "
            "set worker.weights to one, or leave it out for the weights of this release"
        ) from error
