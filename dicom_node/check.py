"""`quartet config check`: whether this configuration can be used on this machine, one line for each finding."""

import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from dicom_node import wiring
from dicom_node.errors import NodeError, SettingsError
from dicom_node.settings import Settings
from dicom_node.slots import site


def check(settings: Settings, config: Path, console: Console) -> None:
    """Print what holds and what does not. Raises `SettingsError` where something must change."""
    unusable, served = _worker(config)
    faults = [*_peers(settings), *_storage(settings), *_rules(settings), *unusable]
    if not settings.destinations:
        text = "no [[destinations]]: results stay in the storage root and are sent nowhere"
        console.print(text, style="yellow", markup=False)
    if faults:
        raise SettingsError("\n".join([f"{config} cannot be used:", *(f"  {fault}" for fault in faults)]))
    association = settings.association
    console.print(f"{config} can be used.", style="green", highlight=False)
    console.print(f"receiver     {association.ae_title} at {association.host}:{association.port}", highlight=False)
    console.print(f"senders      {_senders(settings)}", highlight=False)
    console.print(f"storage      {settings.storage.root}", highlight=False)
    for one in settings.destinations:
        way = one.stow_url or f"{one.ae_title} at {one.host}:{one.port}"
        console.print(f"destination  {one.name}: {way}, {', '.join(one.products)}", highlight=False)
    for line in served:
        style = "yellow" if line.startswith("warning") else None
        console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)


def _senders(settings: Settings) -> str:
    if settings.association.any_peer:
        return "anyone (any_peer = true)"
    return ", ".join(peer.ae_title for peer in settings.association.peers)


def _peers(settings: Settings) -> list[str]:
    if settings.association.any_peer or settings.association.peers:
        return []
    return ["nobody may send: give [[association.peers]], or any_peer = true on a closed test network"]


def _storage(settings: Settings) -> list[str]:
    try:
        wiring.open_store(settings)
        wiring.open_database(settings).close()
    except NodeError as error:
        return [str(error)]
    root, reserve = settings.storage.root, settings.storage.reserve_bytes
    free = shutil.disk_usage(root).free
    if free <= reserve:
        return [f"{free / 1e9:.1f} GB are free at {root}; storage.reserve_bytes keeps {reserve / 1e9:.1f} GB"]
    return []


def _rules(settings: Settings) -> list[str]:
    try:
        site.check(settings.slots.rules)
    except SettingsError as error:
        return [str(error)]
    return []


def _worker(config: Path) -> tuple[list[str], list[str]]:
    """Faults, and lines on the weights: the worker checks its own part, as a process; the node does not import it."""
    command = [sys.executable, "-m", "worker", "--check", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0 or "No module named" in done.stderr:
        return [], done.stdout.splitlines()
    return [done.stderr.strip().removeprefix("quartet worker: ")], []
