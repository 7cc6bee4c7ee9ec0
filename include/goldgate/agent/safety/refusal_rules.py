"""The questions that an agent's author has refused, by words or by a pattern."""

import re
from collections.abc import Sequence
from functools import lru_cache

from goldgate.agent.safety.disguises import plain_views
from goldgate.contracts.resources import RefusalRule


def refusing_rule(question: str, rules: Sequence[RefusalRule]) -> RefusalRule | None:
    """Find the first rule that a question falls under, also if it is disguised. None: it may be asked."""
    if not rules:
        return None
    views = list(plain_views(question))
    return next((rule for rule in rules if any(_falls_under(view, rule) for view in views)), None)


def _falls_under(text: str, rule: RefusalRule) -> bool:
    patterns = [_whole_words(term) for term in rule.terms] + ([rule.pattern] if rule.pattern else [])
    return any(_compiled(pattern).search(text) for pattern in patterns)


def _whole_words(term: str) -> str:
    words = r"\s{1,9}".join(re.escape(word) for word in term.split())
    return rf"(?<!\w){words}(?!\w)"


@lru_cache(maxsize=1000)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)
