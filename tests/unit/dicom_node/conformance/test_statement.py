"""The conformance statement says what the node does, follows the configuration, and the committed one is current."""

import subprocess
import sys
from pathlib import Path

import pytest

from dicom_node.association import contexts, statuses
from dicom_node.conformance.statement import statement
from dicom_node.contract.messages import Product
from dicom_node.delivery.destinations import PRODUCT_CLASSES
from dicom_node.settings import Settings, load, parse

DEPLOY = Path(__file__).parents[4] / "deploy"
FULL = {
    "association": {
        "ae_title": "SOMENODE",
        "port": 4242,
        "peers": [{"ae_title": "MR1", "addresses": ["192.0.2.0/24"]}],
        "dimse_timeout_s": 77.0,
        "tls": {"certificate_file": "c", "key_file": "k", "ca_file": "a"},
    },
    "storage": {"keep_days": 3},
    "destinations": [
        {"name": "archive", "ae_title": "ARCHIVE", "port": 4444, "storage_commitment": True, "products": ["sr"]},
        {"name": "web", "stow_url": "https://user:secret@pacs.example.org/dicom-web", "products": ["rtstruct"]},
    ],
}


@pytest.fixture
def full() -> Settings:
    return parse(FULL, source="test")


def test_the_committed_statement_is_that_of_the_defaults() -> None:
    """Written by `quartet conformance --config deploy/quartet.example.toml > deploy/conformance.md`."""
    assert (DEPLOY / "conformance.md").read_text() == statement(load(DEPLOY / "quartet.example.toml"))


def test_the_command_prints_the_statement() -> None:
    words = ["conformance", "--config", str(DEPLOY / "quartet.example.toml")]
    done = subprocess.run([sys.executable, "-m", "dicom_node.cli", *words], capture_output=True, check=True)
    assert done.stdout.decode() == (DEPLOY / "conformance.md").read_text()


def test_every_sop_class_and_transfer_syntax_that_is_accepted_stands_in_it() -> None:
    text = statement(Settings())
    for context in contexts.supported(False):
        assert str(context.abstract_syntax) in text
        assert all(str(syntax) in text for syntax in context.transfer_syntax or ())
    assert all(sop_class in text for sop_class in PRODUCT_CLASSES.values())
    assert all(f"`{product.value}`" in text for product in Product)


def test_every_status_that_a_c_store_can_end_in_stands_in_it() -> None:
    text = statement(Settings())
    for status in {statuses.Status.SUCCESS, *(status for _, status in statuses._BY_ERROR)}:
        assert f"\n| {status:04X} | " in text


def test_it_has_the_sections_of_the_standard() -> None:
    """PS3.2 Annex A: overview, introduction, networking, media, character sets, security."""
    lines = statement(Settings()).splitlines()
    titles = [line.lstrip("# ") for line in lines if line.startswith("#")]
    for wanted in (
        "1 Overview", "2 Introduction", "3 Networking", "3.1 Implementation model", "3.2.1 Association policies",
        "3.2.2 Association acceptance", "3.2.3 Association initiation", "3.3 Network interfaces", "3.4 Configuration",
        "4 Media interchange", "5 Character sets", "6 Security",
    ):  # fmt: skip
        assert wanted in titles


def test_it_follows_the_configuration(full: Settings) -> None:
    text = statement(full)
    assert "SOMENODE accepts associations on TCP port 4242" in text
    assert "| MR1 | 192.0.2.0/24 |" in text
    assert "| Within a message, for the next PDU | 77 s |" in text
    assert "removed 3 days after" in text
    assert "must show a certificate" in text
    assert "| archive | C-STORE to ARCHIVE, port 4444 | SOMENODE |" in text
    assert contexts.STORAGE_COMMITMENT in text
    assert contexts.STORAGE_COMMITMENT not in statement(Settings())
    assert "secret" not in text
    assert "| SCU | none | archive |" in text


def test_who_may_call_is_said() -> None:
    assert "every calling AE title is rejected" in statement(Settings())
    assert "Any calling AE title is accepted" in statement(parse({"association": {"any_peer": True}}, source="test"))
