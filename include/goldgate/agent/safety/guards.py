"""What safety does with each text on its way: to the model, past it, and out.

One function for each kind of text. Each gives the text that may go on and what was done to it, each thing with its
flag and its reason in words, which is all that a trace or a response needs of it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from goldgate.agent.safety import injection, personal_data
from goldgate.agent.safety.refusal_rules import refusing_rule
from goldgate.contracts.prediction import SafetyFlag
from goldgate.contracts.resources import SafetySpec
from goldgate.ports.identifiers import IdentifierBooks


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that safety did."""

    flag: SafetyFlag
    reason: str
    """In words, without what was found."""


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """A text that may go on."""

    text: str
    findings: tuple[Finding, ...] = ()
    """In the order of the checks, at most one for each flag."""
    is_refused: bool = False
    """The question is not to be answered: `text` is the agent's refusal."""

    @property
    def flags(self) -> tuple[SafetyFlag, ...]:
        """The flags of all findings."""
        return tuple(finding.flag for finding in self.findings)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reason of each flag, in the same order."""
        return tuple(finding.reason for finding in self.findings)


def guard_question(
    question: str, *, history: Sequence[str] = (), spec: SafetySpec, books: IdentifierBooks | None = None
) -> Guarded:
    """Decide whether a question is answered at all, before a model is asked.

    Args:
        question: In readable form (`injection.readable`).
        history: The earlier turns, which the caller sends as well: one of the assistant may be forged.
        spec: What the agent declares.
        books: What knows national numbers; see `personal_data`.

    Returns:
        The question as it is, or the agent's refusal with every finding that is a reason for it.
    """
    findings: list[Finding] = []
    if (rule := refusing_rule(question, spec.refuse)) is not None:
        findings.append(_found("refusal_rule", f"the rule `{rule.name}` refuses the question: {rule.reason}"))
    if spec.block_injections and any(map(injection.holds_injection, (question, *history))):
        findings.append(_found("injection_in_question", "the question tries to replace the agent's instructions"))
    if spec.block_personal_data:
        if held := personal_data.find_personal_data(question, books=books):
            findings.append(_found("personal_data_in_question", f"the question holds {_kinds(held)}"))
        elif personal_data.asks_for_personal_data(question):
            findings.append(_found("personal_data_in_question", "the question asks for a person's data"))
    if findings:
        return Guarded(text=spec.refusal, findings=tuple(findings), is_refused=True)
    return Guarded(text=question)


def guard_turn(text: str, *, spec: SafetySpec, books: IdentifierBooks | None = None) -> Guarded:
    """Redact an earlier turn of the conversation. Nothing is flagged: it was, when it was said."""
    return Guarded(text=personal_data.redact(text, books=books)[0] if spec.block_personal_data else text)


def guard_attachment(text: str, *, spec: SafetySpec, books: IdentifierBooks | None = None) -> Guarded:
    """Make text of the caller data: instructions are marked, personal data is redacted."""
    guarded = guard_passage(text, spec=spec)
    redacted = personal_data.redact(guarded.text, books=books)[0] if spec.block_personal_data else guarded.text
    return Guarded(text=redacted, findings=guarded.findings)


def guard_passage(text: str, *, spec: SafetySpec) -> Guarded:
    """Make a passage data: instructions are marked. What it holds is published, so personal data stays."""
    if not spec.block_injections:
        return Guarded(text=text)
    left, was_hostile = injection.marked_instructions(text)
    return Guarded(text=left, findings=_hostile("the text") if was_hostile else ())


def guard_answer(
    answer: str, *, known: Collection[str] = (), spec: SafetySpec, books: IdentifierBooks | None = None
) -> Guarded:
    """Redact personal data of an answer.

    Args:
        answer: What the model said.
        known: Texts that are known to the public, such as the agent's corpus: what stands there stays.
        spec: What the agent declares.
        books: What knows national numbers; see `personal_data`.
    """
    if not spec.block_personal_data:
        return Guarded(text=answer)
    text, gone = personal_data.redact(answer, keep=known, books=books)
    findings = (_found("personal_data_in_answer", f"the answer held {_kinds(gone)}"),) if gone else ()
    return Guarded(text=text, findings=findings)


def guard_tool_text(text: str, *, tool: str, spec: SafetySpec, books: IdentifierBooks | None = None) -> Guarded:
    """Mark instructions and redact personal data of a tool's result; `tool_results.as_data` wraps it as well."""
    findings: tuple[Finding, ...] = ()
    if spec.block_injections:
        text, was_hostile = injection.marked_instructions(text)
        findings += _hostile(f"the result of `{tool}`") if was_hostile else ()
    if spec.block_personal_data:
        text, gone = personal_data.redact(text, books=books)
        if gone:
            findings += (_found("personal_data_in_tool_result", f"the result of `{tool}` held {_kinds(gone)}"),)
    return Guarded(text=text, findings=findings)


def _hostile(where: str) -> tuple[Finding, ...]:
    return (_found("injection_in_context", f"{where} held instructions for the model"),)


def _kinds(data: Sequence[personal_data.PersonalDatum]) -> str:
    return "personal data: " + ", ".join(sorted({datum.kind for datum in data}))


def _found(flag: SafetyFlag, reason: str) -> Finding:
    return Finding(flag=flag, reason=reason)
