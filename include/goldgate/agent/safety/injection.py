"""Find instructions that try to replace the agent's own, in questions and in text from elsewhere.

A list of known forms, in the open: it stops what is common, not what is clever. What must never happen is held
elsewhere: the tool allow-list, the redaction of answers, the gates.
"""

import re
import unicodedata

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
"""Characters that are not seen but split a word. Source: Unicode TR36, section 3.5 and the tag characters."""

_OWN = r"(?:instruction|direction|prompt|rule|guideline|guardrail|restriction|polic(?:y|ies)|filter|order|command)s?"
_EARLIER = (
    r"(?:all|any|every|the|your|my|these|those|previous|prior|above|earlier|preceding|former|initial|original|"
    r"existing|current|system|safety|of|and|other)"
)
_SAY = r"(?:say|tell|answer|reply|respond|include|add|call|output)"
_MODEL = r"(?:ai|llm|assistant|chatbot|language model|model|bot|gpt)"

_IN_QUESTION = (
    # Replace what was said before.
    (
        r"\b(?:ignore|disregard|forget|override|bypass|skip|drop|discard|neglect)\s+"
        r"(?!the\s+\w+\s+(?:of|in|for|from)\b)"  # the rules of something else
        rf"(?:{_EARLIER}\s+){{1,5}}{_OWN}"
    ),
    (
        r"\b(?:ignore|disregard|forget)\s+(?:everything|all|anything)\s+(?:that\s+)?(?:\w+\s+){0,3}?"
        r"(?:above|before|said|told|earlier|so far)"
    ),
    rf"\b(?:do not|don't|stop)\s+(?:follow(?:ing)?|obey(?:ing)?)\s+(?:{_EARLIER}\s+){{1,4}}{_OWN}",
    r"\b(?:new|updated|real|actual)\s+(?:system\s+)?(?:instructions?|prompt|rules)\s*(?::|are\b|follow)",
    # The same in other languages.
    r"\bignorier\w*\s+(?:alle|die|deine|sämtliche)\s+(?:\w+\s+){0,2}(?:anweisungen|regeln|vorgaben)",
    r"\bignora\w*\s+(?:todas\s+)?(?:las|tus|le|tutte)\s+(?:\w+\s+){0,2}(?:instrucciones|reglas|istruzioni|regole)",
    r"\bignore[rz]?\s+(?:toutes\s+)?(?:les|tes|vos)\s+(?:\w+\s+){0,2}(?:instructions|consignes|règles)",
    # Become somebody else.
    (
        r"\b(?:you are now|from now on,? you(?:'re| are| will| must| shall)?|"
        r"pretend (?:to be|that you|you(?:'re| are)))\b"
    ),
    r"\bact as (?:if you (?:were|are|had)|(?:an? )?(?:unrestricted|unfiltered|uncensored|evil|jailbroken|dan\b))",
    (
        r"\b(?:jailbreak|jailbroken|do anything now|developer mode|god mode|dan mode|"
        r"without any (?:restriction|filter)s?)\b"
    ),
    # Tell what is not to be told.
    (
        r"\b(?:reveal|print|show|repeat|output|display|leak|disclose|dump|tell me|give me|what (?:is|are|does)|recite|"
        r"copy)\b[^.?!\n]{0,40}\b(?:your|the|hidden|secret|initial|original)\s+(?:\w+\s+)?"
        r"(?:system (?:prompt|message|instructions?)|(?:hidden|secret|initial|original) "
        r"(?:prompt|instructions?|message)|prompt verbatim|own instructions)"
    ),
    r"\byour (?:system )?(?:prompt|instructions?)\b[^.?!\n]{0,30}\b(?:verbatim|word for word|above)",
    r"\brepeat (?:everything|all (?:the )?(?:text|words)|the (?:text|words)) (?:above|before)",
    # Forge the conversation.
    r"<\|(?:im_start|im_end|system|assistant|user|endoftext)\|>|\[/?INST\]|<</?SYS>>",
    # Blanks are taken in one place only, and not over lines where a line begins: the time would grow with the square.
    r"^[ \t]*(?:#{2,}[ \t]*)?(?:system|assistant)\s*(?:(?:prompt|message)\s*)?:\s*\S",
    r"\b(?:system|admin|developer|root)\s+(?:override|prompt|message|notice|command)\s*:",
)

_IN_CONTEXT = (
    *_IN_QUESTION,
    # Speak to the model instead of to the reader.
    (
        rf"\b{_MODEL}\b\s*(?:(?:(?:assistant|model|agent)s?|s)\s*)?[,:!-][^.?!\n]{{0,80}}"
        rf"\b(?:must|should|shall|please|ignore|{_SAY}|send|use|run|write)\b"
    ),
    (
        rf"\b(?:when|if|whenever)\s+(?:you(?:'re| are)?|the (?:user|{_MODEL}))\s+(?:\w+\s+){{0,3}}?"
        rf"(?:asked?|answer\w*|summari[sz]\w*|read\w*|process\w*)\b[^.?!\n]{{0,60}}\b{_SAY}\b"
    ),
    (
        r"\b(?:instead,?|you (?:must|should|shall|have to|will|need to)|always|only)\s+(?:(?:now|only|always)\s+)?"
        r"(?:say|answer|reply|respond|output|tell the user)\b"
    ),
    r"\b(?:do not|don't|never)\s+(?:tell|inform|mention (?:this|it) to|alert|warn)\s+(?:the\s+)?(?:user|human|reader)",
    r"\b(?:send|forward|post|upload|exfiltrate|e-?mail)\s+(?:\w+\s+){0,6}?(?:to|at)\s+(?:https?://|\S+@\S+)",
    rf"\b(?:instructions?|note|message|important)\s+(?:to|for)\s+(?:the\s+)?{_MODEL}\b",
)

_QUESTION = re.compile("|".join(f"(?:{pattern})" for pattern in _IN_QUESTION), re.IGNORECASE | re.MULTILINE)
_CONTEXT = re.compile("|".join(f"(?:{pattern})" for pattern in _IN_CONTEXT), re.IGNORECASE | re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


def readable(text: str) -> str:
    """Bring text to the one form that is checked and sent: NFKC, no invisible characters."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def holds_injection(question: str) -> bool:
    """Tell whether a question, in readable form, tries to replace the agent's instructions."""
    return _QUESTION.search(question) is not None


def without_instructions(text: str) -> tuple[str, bool]:
    """Remove from text of others every sentence that speaks to the model.

    Returns:
        What is left, perhaps nothing, and whether something was removed. Text without instructions comes back as it
        is, to the character.
    """
    if _CONTEXT.search(text) is None:
        return text, False
    kept: list[str] = []
    position = 0
    for end in [*_SENTENCE_END.finditer(text), None]:
        sentence = text[position : end.end() if end else len(text)]
        if _CONTEXT.search(sentence) is None:
            kept.append(sentence)
        position = end.end() if end else len(text)
    left = "".join(kept)
    # An instruction that runs over a sentence's end is only seen in the whole: then nothing of the text is kept.
    return ("", True) if _CONTEXT.search(left) else (left.strip(), True)


def speaks_to_the_model(text: str) -> bool:
    """Tell whether a text of others holds instructions for the model."""
    return without_instructions(text)[1]
