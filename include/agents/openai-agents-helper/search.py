"""Find the options that a question may be about: rare words count most."""

import html
import json
import math
import re
from collections import Counter
from pathlib import Path

OPTIONS = [json.loads(line) for line in Path("options.jsonl").read_text("utf-8").splitlines()]


def _words(text: str) -> Counter[str]:
    return Counter(re.sub(r"(ing|ed|es|s)$", "", word) for word in re.findall(r"[a-z0-9]{2,}", text.lower()))


_BAGS = [_words(f"{option['title']} {option['title']} {option['text']}") for option in OPTIONS]
_RARITY = {word: math.log(len(_BAGS) / sum(word in bag for bag in _BAGS)) for bag in _BAGS for word in bag}


def find(question: str, *, k: int = 6) -> list[dict[str, str]]:
    """List the k options that share most with the question, best first."""
    asked = _words(question)

    def score(bag: Counter[str]) -> float:
        return sum(_RARITY[word] * min(bag[word], 3) for word in asked if word in bag) / math.sqrt(bag.total())

    best = sorted(range(len(OPTIONS)), key=lambda position: -score(_BAGS[position]))
    return [OPTIONS[position] for position in best[:k]]


def written(question: str, found: list[dict[str, str]], attachments: list[str]) -> str:
    """Write passages, attachments and the question so that none of them can pass for another."""
    blocks = [f'<passage id="{p["id"]}" title="{p["title"]}">{html.escape(p["text"])}</passage>' for p in found]
    blocks += [f"<attachment>{html.escape(text)}</attachment>" for text in attachments]
    return "\n".join(blocks) + f"\n\n<question>{html.escape(question)}</question>"


def variable(option: str) -> str:
    """Name the environment variable of an option, or say that there is none."""
    name = option.lower()
    if all(known["id"] != name for known in OPTIONS):
        return f"There is no option `{name}`."
    section, _, key = name.rpartition(".")
    return f"{name} is set by AIRFLOW__{section.replace('.', '_').upper()}__{key.upper()}."
