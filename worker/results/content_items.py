"""SR content items, one call each: containers, texts, codes, numbers, references (PS3.3 C.17.3).

Called by report and its parts. Thin over highdicom; keeps the relationship CONTAINS and plain ASCII texts.
"""

from collections.abc import Iterable
from typing import Any

from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentSequence,
    Measurement,
    NumContentItem,
    TextContentItem,
    UIDRefContentItem,
)
from pydicom.sr.coding import Code

from worker.results import codes
from worker.results.provenance import plain_text

CONTAINS = "CONTAINS"
DECIMALS = 4
"""Of numbers in the report: 0.1 micrometre, 0.1 microlitre; fits DS."""


def container(name: Code, items: Iterable[Any], template: str | None = None) -> ContainerContentItem:
    """A container with its children."""
    item = ContainerContentItem(name=name, relationship_type=CONTAINS, template_id=template)
    children = list(items)
    if children:
        item.ContentSequence = ContentSequence(children)
    return item


def text(name: Code, value: str) -> TextContentItem:
    """A text; an empty one reads `none`, as SR allows no empty text."""
    return TextContentItem(name=name, value=plain_text(value) or "none", relationship_type=CONTAINS)


def code(name: Code, value: Code) -> CodeContentItem:
    return CodeContentItem(name=name, value=value, relationship_type=CONTAINS)


def uid_reference(name: Code, value: str) -> UIDRefContentItem:
    return UIDRefContentItem(name=name, value=value, relationship_type=CONTAINS)


def number(name: Code, value: float, unit: Code = codes.NO_UNITS) -> NumContentItem:
    return NumContentItem(name=name, value=_rounded(value), unit=unit, relationship_type=CONTAINS)


def measurement(name: Code, value: float, unit: Code, derivation: Code | None = None) -> Measurement:
    """A number of a measurement group (TID 300)."""
    return Measurement(name=name, value=_rounded(value), unit=unit, derivation=derivation)


def _rounded(value: float) -> float | int:
    return value if isinstance(value, int) else round(float(value), DECIMALS)
