"""A site's own rules of quartet.toml: globs or /regular expressions/ on any attribute, tried before the built-in ones.

Called by classify.py. Knows settings.SlotRule and headers; nothing of evidence.
"""

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from dicom_node.contract.slots import SequenceSlot
from dicom_node.errors import SettingsError
from dicom_node.settings import SlotRule

IGNORE = "ignore"


def check(rules: Sequence[SlotRule]) -> None:
    """Raise `SettingsError` that names the rule whose regular expression cannot be read. Globs always can."""
    for number, rule in enumerate(rules, 1):
        for keyword, pattern in rule.match.items():
            try:
                _compiled(pattern)
            except re.error as error:
                raise SettingsError(f"slots.rules, rule {number}: {keyword} = {pattern}: {error}") from error


def first_match(headers: Mapping[str, object], rules: Sequence[SlotRule]) -> tuple[int, SequenceSlot | None] | None:
    """Number (from 1) and slot of the first rule of which all patterns match; slot None: ignore. None: no rule."""
    for number, rule in enumerate(rules, 1):
        if rule.match and all(_matches(headers.get(keyword), pattern) for keyword, pattern in rule.match.items()):
            return number, None if rule.slot == IGNORE else SequenceSlot(rule.slot)
    return None


def _matches(value: object, pattern: str) -> bool:
    if value is None:
        return False
    if isinstance(value, list | tuple):
        joined = "\\".join(str(part) for part in value)
        return _compiled(pattern)(joined) or any(_compiled(pattern)(str(part)) for part in value)
    return _compiled(pattern)(str(value).strip())


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Callable[[str], bool]:
    """A regular expression is searched for anywhere; a glob must fit the whole value. Both ignore case."""
    if len(pattern) > 1 and pattern.startswith("/") and pattern.endswith("/"):
        expression = re.compile(pattern[1:-1], re.IGNORECASE)
        return lambda value: expression.search(value) is not None
    whole = re.compile(fnmatch.translate(pattern), re.IGNORECASE)
    return lambda value: whole.match(value) is not None
