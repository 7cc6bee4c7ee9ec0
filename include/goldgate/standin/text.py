"""Words, stems and tokens: all that the stand-in model understands of language.

It holds grammar only (endings and function words), no knowledge: no synonyms, no facts, no answers.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?|\d+")
_TOKEN = re.compile(r"\s*(?:[^\W\d_]{1,7}|\d{1,3}|[^\s])|\s+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[^\s])")
_VOWEL = re.compile(r"[aeiouy]")
_DOUBLED = re.compile(r"([bdfgmnprt])\1$")

_FUNCTION_WORD_LIST = """
    a about after again all also am an and another any anybody anyone anything are aren't as ask at be because been
    before being between both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during
    each either else ever every everything few for from further get gets getting give given go goes going got had has
    have haven't having he her here hers him his how however i i'd i'll i'm i've if in instead into is isn't it it's
    its itself just know let let's like look make makes many may me might more most much must my myself need needs
    neither no nor not now of off on once one only onto or other our ours out over own per please possible rather
    really same say says see shall she should shouldn't since so some somehow someone something still such tell than
    that that's the their theirs them then there there's these they they're thing things this those through to too
    under until up upon us very want wants was wasn't way we we're well were weren't what what's whatever when where
    where's whether which while who who's whom whose why will with without won't would wouldn't yes yet you you're
    your yours yourself
"""
_FUNCTION_WORDS = frozenset(_FUNCTION_WORD_LIST.split())
"""English words that carry structure and not content. They never count as support for an answer."""

# Ending, what replaces it, and how many letters must stay before it. The first that fits is taken.
_PLURALS = (("sses", "ss", 2), ("ies", "y", 2), ("xes", "x", 2), ("ches", "ch", 2), ("shes", "sh", 2))
_DERIVED = (("ation", "", 4), ("ment", "", 4), ("ness", "", 4), ("ism", "", 4), ("ly", "", 4), ("er", "", 4))
_AFTER_T_OR_S = (("ion", 4), ("or", 4))


def words(text: str) -> list[str]:
    """Split text into lower-case words and numbers. Underscores, dots and dashes separate: `dag_id` is two words."""
    return [word.removesuffix("'s") for word in _WORD.findall(text.lower().replace("\u2019", "'"))]


def content_stems(text: str) -> list[str]:
    """List the stems of the words that carry content, in order, repetitions kept."""
    return [stem(word) for word in words(text) if word not in _FUNCTION_WORDS]


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Strip the ending of a lower-case English word, so that `configuring` meets `configuration`.

    The result is a key, not a word. Words of three letters and fewer stay as they are.

    Source: a light form of M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980: plurals, -ed and
    -ing with undoubling, a few derivational endings, the final -e.
    """
    if len(word) <= 3:  # noqa: PLR2004 - the rule of the docstring
        return word
    bare = _without_tense(_without_plural(word))
    bare = _without_derivation(bare)
    return bare[:-1] if bare.endswith("e") and len(bare) > 3 else bare  # noqa: PLR2004 - `use` stays


def tokens(text: str) -> list[str]:
    """Cut text into the pieces that are counted as tokens. Joined, they are the text again.

    Up to 7 letters, up to 3 digits, or one other character make a token, together with the white space before it;
    white space at the end is one more. English prose comes to about 4.5 characters a token, near what
    byte-pair tokenizers make of it; it is an approximation that needs no download, and the same everywhere.
    """
    return _TOKEN.findall(text)


def sentences(text: str) -> list[str]:
    """Split a line into sentences, each stripped; empty ones are left out."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def _without_plural(word: str) -> str:
    for ending, replacement, kept in _PLURALS:
        if word.endswith(ending) and len(word) - len(ending) >= kept:
            return word[: -len(ending)] + replacement
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _without_tense(word: str) -> str:
    if word.endswith("ied") and len(word) > 4:  # noqa: PLR2004 - `died` is no `dy`
        return word[:-3] + "y"
    for ending in ("ing", "ed"):
        bare = word.removesuffix(ending)
        if bare != word and len(bare) >= 3 and _VOWEL.search(bare):  # noqa: PLR2004 - `string`, `need` stay
            return _DOUBLED.sub(r"\1", bare)
    return word


def _without_derivation(word: str) -> str:
    for ending, replacement, kept in _DERIVED:
        if word.endswith(ending) and len(word) - len(ending) >= kept:
            return word[: -len(ending)] + replacement
    for ending, kept in _AFTER_T_OR_S:
        if word.endswith((f"t{ending}", f"s{ending}")) and len(word) - len(ending) >= kept:
            return word[: -len(ending)]
    return word


def ordered_unique(items: Sequence[str]) -> tuple[str, ...]:
    """Drop repetitions, keeping the order of first appearance."""
    return tuple(dict.fromkeys(items))
