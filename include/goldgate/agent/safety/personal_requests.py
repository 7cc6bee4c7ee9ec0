"""Tell whether a question asks for a person's data, by the words that do."""

import re

_PRIVATE = (
    r"(?:(?:home|private|personal|work|mobile|cell)\s+)?(?:phone(?:\s+number)?|telephone(?:\s+number)?|mobile number|"
    r"cell number|home address|postal address|street address|e-?mail(?:\s+address)?|whereabouts|salary|income|"
    r"date of birth|birth\s?date|birthday|age|social security number|ssn|passport(?:\s+number)?|tax id|"
    r"(?:credit )?card(?:\s+number)?|bank (?:account|details)(?:\s+number)?|iban|medical (?:record|history)s?|"
    r"diagnosis|religion|sexual orientation|criminal record|driver'?s licen[cs]e(?:\s+number)?)"
)
_ROLE_OF_PERSON = (
    r"(?:(?:my|our|your|his|her|their|the)\s+)(?:\w+\s+){0,2}?(?:ceo|cto|cfo|boss|manager|colleague|coworker|"
    r"co-worker|neighbou?r|employee|customer|client|patient|wife|husband|girlfriend|boyfriend|ex|son|daughter|friend|"
    r"teammate|founder|author|maintainer|committer|president|doctor|teacher|landlord|person|people|guy|woman|man)s?"
)
# Bounded, because a text of capitalised words would else be read to its end from each of them.
_NAMED = r"[A-Z][a-zà-ÿ]+(?:\s+(?:van|von|de|di|da|del|la|le|bin|al)\b){0,4}(?:\s+[A-Z][\w'à-ÿ-]+){1,6}"

_REQUESTS = (
    re.compile(rf"\b(?i:{_PRIVATE})\s+(?:of|for|belonging to)\s+(?:{_NAMED}|(?i:{_ROLE_OF_PERSON})\b)"),
    re.compile(rf"\b(?:{_NAMED}|(?i:{_ROLE_OF_PERSON}))['\u2019]s?\s+(?i:{_PRIVATE})\b"),
    re.compile(rf"\b(?i:where)\s+(?i:does|do|did)\s+(?:{_NAMED}|(?i:{_ROLE_OF_PERSON}))\s+(?i:live|work|stay|sleep)\b"),
    re.compile(rf"\b(?i:how (?:old|rich|much (?:money )?does)|what does)\s+(?:is\s+)?(?:{_NAMED})\b"),
    re.compile(rf"\b(?i:how much)\s+(?i:does|did)\s+(?:{_NAMED}|(?i:{_ROLE_OF_PERSON}))\s+(?i:earn|make|get paid)\b"),
    re.compile(rf"\b(?i:password|credentials|pin)\s+(?i:of|for)\s+{_NAMED}"),
    re.compile(rf"\b{_NAMED}['\u2019]s?\s+(?i:password|credentials|pin)\b"),
    re.compile(
        rf"\b(?i:(?:list|give|show|tell|send|find|get|dump|export)\b.{{0,40}}\b(?:all|every|each|the)\b.{{0,30}}\b"
        rf"(?:users?|customers?|employees?|patients?|people|members?)['\u2019]?s?\s+{_PRIVATE}(?:s|es)?)\b"
    ),
    re.compile(
        rf"\b(?i:{_PRIVATE}(?:s|es)?\s+of\s+(?:all|every|each)\s+(?:\w+\s+)?"
        rf"(?:users?|customers?|employees?|patients?|people|members?))\b"
    ),
)
"""A person is a name of two capitalised words, or somebody by role. "The phone number of the alert" asks for nobody."""


def asks_for_personal_data(question: str) -> bool:
    """Tell whether a question asks for a person's contact, identity, money or health data."""
    return any(pattern.search(question) for pattern in _REQUESTS)
