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
_NAMED = r"(?P<who>[A-Z][a-zà-ÿ]+(?:\s+(?:van|von|de|di|da|del|la|le|bin|al)\b){0,4}(?:\s+[A-Z][\w'à-ÿ-]+){1,6})"
_OF_A_SYSTEM = (
    r"(?!\s+(?:(?:is|are|gets?)\s+)?(?:fields?|columns?|settings?|options?|parameters?|attributes?|variables?|formats?|"
    r"templates?|validation|configured|stored|logged|masked|sent|set|limits?)\b)"
)
"""What may stand behind: `the author's email configured in a DAG` asks for a setting."""

_THING_WORDS = """
    airflow amazon apache api app aws azure celery cloud cluster connection container dag dags data database default
    docker dataset engine executor expectations field format framework function github gitlab google great hook
    instance interval java jinja job kubernetes library linux log manager microsoft mode model module mysql node
    operator option oracle parameter pipeline plugin policy pool postgres process provider python queue react redis
    redshift run runner scheduler schema secret sensor server service session setting snowflake spark sql state
    storage store system table task template timeout token tool trigger ubuntu update variable version web webserver
    windows worker workflow
"""
_THINGS = frozenset(_THING_WORDS.split())
"""Words that name a product or a part of one: `What does Celery Executor cost?` asks for nobody's money."""

_PEOPLE = (
    re.compile(rf"\b(?i:{_PRIVATE})\s+(?:of|for|belonging to)\s+{_NAMED}"),
    re.compile(rf"\b{_NAMED}['\u2019]s?\s+(?i:{_PRIVATE})\b{_OF_A_SYSTEM}"),
    re.compile(rf"\b(?i:where)\s+(?i:does|do|did)\s+{_NAMED}\s+(?i:live|work|stay|sleep)\b"),
    re.compile(rf"\b(?i:how (?:old|rich|tall|heavy))\s+(?i:is|was)\s+{_NAMED}\b"),
    re.compile(
        rf"\b(?i:how much|what)\s+(?i:(?:money\s+)?(?:does|did))\s+{_NAMED}\s+(?i:earn|make|weigh|own|get paid)\b"
    ),
    re.compile(rf"\b(?i:password|credentials|pin)\s+(?i:of|for)\s+{_NAMED}"),
    re.compile(rf"\b{_NAMED}['\u2019]s?\s+(?i:password|credentials|pin)\b{_OF_A_SYSTEM}"),
)
"""Somebody by name: two capitalised words."""

_ROLES = (
    re.compile(rf"\b(?:{_PRIVATE})\s+(?:of|for|belonging to)\s+{_ROLE_OF_PERSON}\b", re.IGNORECASE),
    re.compile(rf"\b{_ROLE_OF_PERSON}['\u2019]s?\s+{_PRIVATE}\b{_OF_A_SYSTEM}", re.IGNORECASE),
    re.compile(rf"\bwhere\s+(?:does|do|did)\s+{_ROLE_OF_PERSON}\s+(?:live|work|stay|sleep)\b", re.IGNORECASE),
    re.compile(rf"\bhow much\s+(?:does|did)\s+{_ROLE_OF_PERSON}\s+(?:earn|make|get paid)\b", re.IGNORECASE),
    re.compile(
        rf"\b(?:list|give|show|tell|send|find|get|dump|export)\b.{{0,40}}\b(?:all|every|each|the)\b.{{0,30}}\b"
        rf"(?:users?|customers?|employees?|patients?|people|members?)['\u2019]?s?\s+{_PRIVATE}(?:s|es)?\b",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\b{_PRIVATE}(?:s|es)?\s+of\s+(?:all|every|each)\s+(?:\w+\s+)?"
        r"(?:users?|customers?|employees?|patients?|people|members?)\b",
        re.IGNORECASE,
    ),
)
"""Somebody by role. "The phone number of the alert" asks for nobody."""

_HOW_TO = re.compile(
    r"\bhow\s+(?:(?:do|can|could|should|would)\s+(?:i|we|you|one)|to)\s+(?:change|check|configure|disable|display|"
    r"drop|enable|encrypt|hash|hide|log|mask|parse|pass|redact|remove|send|set|show|store|use|validate|verify)\b",
    re.IGNORECASE,
)
"""`How do I mask the customer's phone number in the logs?` asks what to do with data, not for them. Not among the
verbs: find, get, list, and others by which one comes by them."""


def asks_for_personal_data(question: str) -> bool:
    """Tell whether a question asks for a person's contact, identity, money or health data."""
    if any(_is_person(found["who"]) for pattern in _PEOPLE for found in pattern.finditer(question)):
        return True
    return _HOW_TO.search(question) is None and any(pattern.search(question) for pattern in _ROLES)


def _is_person(name: str) -> bool:
    return _THINGS.isdisjoint(name.lower().split())
