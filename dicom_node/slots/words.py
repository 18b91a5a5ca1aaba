"""What the words of a series say: contrast given or not, and what kind of image, in many languages.

Called by evidence.py with SeriesDescription or ProtocolName. Words are whole tokens, so that "enc" (encefalo) is no
"en c", and "posterior" no "post". Knows no header attribute. The vocabulary is in vocabulary.py.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import pairwise

from dicom_node.slots import vocabulary as v

_FOREIGN = str.maketrans({"ł": "l", "ø": "o", "ı": "i", "đ": "d", "æ": "ae", "ß": "ss", "Ł": "L", "Ø": "O", "İ": "I"})
_AGENT = r"(?:c|k|g|gd|gad|gado|km|mdc|ce|cm|kontrast|contrast|contraste|contrasto|iv)"
_SHORTHAND = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"[_^]+", " "),
        (
            r"\b(?:i\.\s?v\.?|k\.\s?m\.?|m\.\s?d\.\s?c\.?|[pc]\.\s?[cm]\.|k\.\s?l\.?)",
            lambda m: " " + m[0].replace(".", "") + " ",
        ),
        (r"\bw\s?/\s?o\b", " without "),
        (r"\bw\s?/\s?wo\b|\bw\s?(?:&|and|\+)\s?wo\b", " with contrast without contrast "),
        (r"\bw\s?/", " with "),
        (r"\bs\s?/\s?c\b", " sin contraste "),
        (r"\bu\s?/\s?k\b", " ukontrast "),
        (r"\bm\s?/\s?k\b", " mkm "),
        (r"\bs\s(?=contraste|gado|civ|inj)", " sin "),
        (r"\biv\s?k(?:ontr)?\b", " ivkm "),
        (r"\bc\s?/\s?c\b", " con contraste "),
        (r"\b[su]/\s?", " sin "),
        (r"\b[cm]/\s?", " con "),
        (rf"\+\s?{_AGENT}\b", " plusagent "),
        (rf"\b{_AGENT}\s?\+(?!\w)", " plusagent "),
        (rf"(?:^|(?<=\s))-\s?{_AGENT}\b", " minusagent "),
        (rf"\b{_AGENT}\s?-(?=\s|$)", " minusagent "),
        (r"-\s?c$", " "),
        (r"\+\s*$", " plusatend "),
    )
)
_TOKEN = re.compile(r"[^\W_]+")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


class Said(Enum):
    """What words or a tag say of the contrast agent."""

    NOTHING = "nothing"
    GIVEN = "given"
    PERHAPS_GIVEN = "perhaps given"
    """A weak hint only, such as a lone C at the end."""
    NOT_GIVEN = "not given"
    BOTH = "both"
    """With and without in one text: it describes the examination, not the series."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """The meaning of one text."""

    contrast: Said
    contrast_word: str
    """The word of our own vocabulary that said so; never the text itself."""
    meanings: frozenset[v.Meaning]


NO_WORDS = Words(contrast=Said.NOTHING, contrast_word="", meanings=frozenset())


@lru_cache(maxsize=4096)
def read(text: str) -> Words:
    """The meaning of a description or protocol name. Pure; remembered, as hospitals repeat their names."""
    if not text:
        return NO_WORDS
    tokens = _tokens(text)
    contrast, word = _contrast(tokens)
    if contrast is Said.NOTHING:
        contrast, word = _unspaced(text)
    return Words(contrast=contrast, contrast_word=word, meanings=_meanings(tokens))


def _tokens(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text[:256].translate(_FOREIGN))
    plain = "".join(c for c in plain if not unicodedata.combining(c)).translate(_FOREIGN)
    for pattern, replacement in _SHORTHAND:
        plain = pattern.sub(replacement, plain)
    found: list[str] = []
    for token in _TOKEN.findall(plain):
        whole = token.lower()
        if whole in v.KNOWN:
            found.append(whole)
            continue
        parts = [part.lower() for part in _PARTS.findall(token)]
        known = any(len(part) > 1 and part in v.KNOWN for part in parts)
        found.extend((part for part in parts if len(part) > 1) if known else [whole])
    return found


def _meanings(tokens: list[str]) -> frozenset[v.Meaning]:
    found = {v.MEANINGS[token] for token in tokens if token in v.MEANINGS}
    for pair in pairwise(tokens):
        if pair in v.PHRASES:
            found.add(v.PHRASES[pair])
        if pair in v.CANCELLED:
            found.discard(v.CANCELLED[pair])
    if tokens and tokens[-1] in v.LAST_WORDS and found & {v.Meaning.DIXON, v.Meaning.T1_GRADIENT}:
        found.add(v.LAST_WORDS[tokens[-1]])
    return frozenset(found)


def _contrast(tokens: list[str]) -> tuple[Said, str]:
    """Walk the tokens: negation or 'before' near an agent's name means none, 'after' or the name alone means given."""
    given, none, weak = "", "", ""
    place = 0
    while place < len(tokens):
        said, word, place = _phrase(tokens, place)
        if said in {Said.GIVEN, Said.BOTH}:
            given = word
        if said in {Said.NOT_GIVEN, Said.BOTH}:
            none = word
        if said is Said.PERHAPS_GIVEN:
            weak = word
    if given and none:
        return Said.BOTH, f"{given}, {none}"
    if given or none:
        return (Said.GIVEN, given) if given else (Said.NOT_GIVEN, none)
    return (Said.PERHAPS_GIVEN, weak) if weak else (Said.NOTHING, "")


def _phrase(tokens: list[str], place: int) -> tuple[Said, str, int]:
    """What the words from `place` say, and where the next phrase begins."""
    token, last = tokens[place], len(tokens) - 1
    before, after = tokens[place - 1] if place else "", tokens[place + 1] if place < last else ""
    agent = next((p for p in (place + 1, place + 2) if p <= last and tokens[p] in v.AGENTS), None)
    beside = {before, after} & v.NOT_AGENT_NEIGHBOURS
    if token in v.WITHOUT and (agent is not None or after in v.SHORT_AGENTS):
        end = place + 1 if agent is None else agent
        both = _joined(tokens, place, v.WITH)
        return (Said.BOTH if both else Said.NOT_GIVEN), f"{token} {tokens[end]}", end + 1
    if token in v.WITHOUT_ALONE or (token in v.WITHOUT_LAST and place == last):
        return Said.NOT_GIVEN, token, place + 1
    if token in v.WITH and agent is not None:
        denied = agent < last and tokens[agent + 1] in v.DENIED
        both = _joined(tokens, place, v.WITHOUT)
        return (Said.NOT_GIVEN if denied else Said.BOTH if both else Said.GIVEN), f"{token} {tokens[agent]}", agent + 1
    if (token in v.AFTER_ALONE and not beside) or token in v.GIVEN_ALONE:
        return Said.GIVEN, token, place + 1
    if token in v.BEFORE_ALONE and not beside:
        return Said.NOT_GIVEN, token, place + 1
    if token in v.AGENTS and before not in v.OTHER_CONTRASTS:
        return (Said.NOT_GIVEN if after in v.DENIED else Said.GIVEN), token, place + 1
    if token in v.WEAK_LAST and 0 < place == last:
        return Said.PERHAPS_GIVEN, token, place + 1
    return Said.NOTHING, "", place + 1


def _joined(tokens: list[str], place: int, opposite: frozenset[str]) -> bool:
    """Whether an 'and' joins the word to its opposite: with and without contrast."""
    return place >= 2 and tokens[place - 1] in v.AND and tokens[place - 2] in opposite


def _unspaced(text: str) -> tuple[Said, str]:
    """Languages that write without blanks."""
    for sign in v.NONE_SIGNS:
        if sign in text:
            return Said.NOT_GIVEN, sign
    for sign in v.GIVEN_SIGNS:
        if sign in text:
            return Said.GIVEN, sign
    return Said.NOTHING, ""
