"""Reads single header values as they come: numbers as text, lists, backslashes or slashes, colons, nonsense.

Called by evidence.py for every attribute. Nothing raises: what cannot be read is absent. Knows no DICOM attribute.
Formats: PS3.5 6.2 (CS, DS, IS, DA, TM, DT).
"""

import math
import re
from datetime import date

_SPLIT = re.compile(r"[\\/|]")
_TIME = re.compile(r"(\d{2}):?(\d{2}):?(\d{1,2}(?:\.\d*)?)?$")
_DATE = re.compile(r"(\d{4})[-./]?(\d{2})[-./]?(\d{2})")
_NAME = re.compile(r"[^\W\d_]|\d{3}")
ABSENT = frozenset({"", "none", "n/a", "na", "null", "unknown", "nan"})
"""What writers put where they have nothing to say, in lower case."""


def number(value: object) -> float | None:
    """A finite number, or the first one of a list or of backslash-separated text; else None."""
    if type(value) is float or type(value) is int:
        return float(value) if abs(value) < 1e300 else None  # NaN and infinity compare false
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, list | tuple):
        return next((n for n in map(number, value) if n is not None), None)
    try:
        found = float(str(value).split("\\")[0].strip().replace(",", "."))
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def positive(value: object) -> float | None:
    """A number above zero; zero is how many writers say that they do not know."""
    found = number(value)
    return found if found is not None and found > 0 else None


def text(value: object) -> str:
    """Text without outer blanks; the parts of a list joined by a blank. Absent and 'none' are empty."""
    if value is None:
        return ""
    if isinstance(value, str):
        found = value.strip()
    elif isinstance(value, list | tuple):
        found = " ".join(part for part in map(text, value) if part)
    elif isinstance(value, bool | dict | bytes):
        return ""
    else:
        found = str(value).strip()
    return "" if found.lower() in ABSENT else found


def name(value: object) -> str:
    """A name of something: text in lower case that has a letter or several digits; else empty, as it names nothing."""
    found = text(value).lower()
    return found if _NAME.search(found) else ""


def codes(value: object) -> frozenset[str]:
    """The parts of a multi-valued code string in upper case: lists, backslashes and slashes alike."""
    if isinstance(value, str):
        return frozenset(part.strip().upper() for part in _SPLIT.split(value) if part.strip())
    if isinstance(value, list | tuple):
        if all(type(part) is str and part.isupper() and "\\" not in part and "/" not in part for part in value):
            return frozenset(value)
        return frozenset().union(*(codes(part) for part in value if isinstance(part, str)))
    return frozenset()


def seconds_of_day(value: object) -> float | None:
    """TM (HHMMSS.FFFFFF, colons allowed, seconds may have one digit) in seconds after midnight.

    All zeros are what anonymisers write, and read as absent.
    """
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        if not 0 <= value < 240_000:
            return None
        whole, fraction = divmod(float(value), 1.0)
        value = f"{int(whole):06d}" + (f"{fraction:.6f}"[1:] if fraction else "")
    matched = _TIME.match(str(value).strip())
    if matched is None:
        return None
    hours, minutes, seconds = int(matched[1]), int(matched[2]), float(matched[3] or 0.0)
    if hours > 23 or minutes > 59 or seconds >= 61:
        return None
    return hours * 3600 + minutes * 60 + seconds or None


def day_number(value: object) -> int | None:
    """DA (YYYYMMDD, separators allowed) as a proleptic day number. Anonymised years before 1980 read as absent."""
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    if value is None or isinstance(value, bool):
        return None
    matched = _DATE.match(str(value).strip())
    if matched is None or int(matched[1]) < 1980:
        return None
    try:
        return date(int(matched[1]), int(matched[2]), int(matched[3])).toordinal()
    except ValueError:
        return None


def numbers(value: object) -> tuple[float, ...]:
    """All numbers of a list or of backslash-separated text, or none where one of them is unreadable."""
    parts = value.split("\\") if isinstance(value, str) else value if isinstance(value, list | tuple) else ()
    found = tuple(number(part) for part in parts)
    return () if None in found else tuple(n for n in found if n is not None)
