"""Markdown, as far as the statement needs it. Pure."""

from collections.abc import Iterable, Sequence

from pydicom.uid import UID


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells stand in one line each."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def section(title: str, *paragraphs: str) -> str:
    """A heading (`title` begins with its marks, ## 3) and what stands below it; empty paragraphs are left out."""
    return "\n\n".join([title, *filter(None, paragraphs)])


def uid_row(uid: str) -> tuple[str, str]:
    """Name and UID of an SOP class or a transfer syntax, as PS3.6 Annex A has them."""
    return UID(uid).name, str(uid)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
