"""Decide whether the question asks for a tool, and for which."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from goldgate.standin.arguments import read_arguments
from goldgate.standin.reading import Reading
from goldgate.standin.text import content_stems
from goldgate.standin.wire import ChatRequest, Function, NamedChoice, properties_of

MIN_SHARED_STEMS = 2
"""A question asks for a tool if it shares this many content words with the tool's name, description and parameters."""

MIN_SHARED_RATIO = 0.5
"""... or, for a short question, this share of its own content words."""


@dataclass(frozen=True, kw_only=True)
class ToolChoice:
    """A call that the stand-in makes."""

    name: str
    arguments: dict[str, object]

    @property
    def as_json(self) -> str:
        """The arguments as the wire carries them."""
        return json.dumps(self.arguments, ensure_ascii=False)


def choose_tool(request: ChatRequest, reading: Reading) -> ToolChoice | None:
    """Choose the tool that shares most words with the question, if its required arguments can be read off.

    No tool is called twice for one question, nor with values that an earlier call has already used: the answer to
    those is there. `tool_choice` `required`, or a named function, calls in any case, with the arguments that can be
    read. Ties go to the tool offered first.
    """
    match request.tool_choice:
        case "none":
            return None
        case "required":
            return _forced(request.functions, reading)
        case NamedChoice(function=wanted):
            return _forced([function for function in request.functions if function.name == wanted.name], reading)
    done = {answer.name for answer in reading.tool_answers}
    ranked = _ranked([function for function in request.functions if function.name not in done], reading.question)
    for shared, function in ranked:
        if not _asks_for(shared, reading.question):
            return None
        arguments = _read(function, reading)
        if arguments is not None and not _is_answered(arguments, reading):
            return ToolChoice(name=function.name, arguments=arguments)
    return None


def _forced(functions: Sequence[Function], reading: Reading) -> ToolChoice:
    readable = [(function, _read(function, reading)) for _, function in _ranked(functions, reading.question)]
    for function, arguments in readable:
        if arguments is not None:
            return ToolChoice(name=function.name, arguments=arguments)
    return ToolChoice(name=readable[0][0].name, arguments={})


def _ranked(functions: Sequence[Function], question: str) -> list[tuple[int, Function]]:
    asked = set(content_stems(question))
    scored = [(len(asked & _stems(function)), function) for function in functions]
    return sorted(scored, key=lambda pair: -pair[0])


def _stems(function: Function) -> set[str]:
    parameters = properties_of(function.parameters)
    described = [f"{name} {schema.get('description', '')}" for name, schema in parameters.items()]
    return set(content_stems(" ".join([function.name, function.description, *described])))


def _asks_for(shared: int, question: str) -> bool:
    asked = [stem for stem in set(content_stems(question)) if not stem.isdigit()]
    return shared >= MIN_SHARED_STEMS or (shared > 0 and shared >= MIN_SHARED_RATIO * len(asked))


def _read(function: Function, reading: Reading) -> dict[str, object] | None:
    """Read the arguments off the question or, if it lacks them, off the question and what was said before."""
    arguments = read_arguments(function.parameters, reading.question)
    if arguments is None and reading.earlier:
        return read_arguments(function.parameters, f"{reading.question}\n{reading.earlier}")
    return arguments


def _is_answered(arguments: dict[str, object], reading: Reading) -> bool:
    """Tell whether every value was used by an earlier call; a tool without arguments is answered once any ran."""
    used = [answer.arguments for answer in reading.tool_answers]
    if not used:
        return False
    return all(any(json.dumps(value, ensure_ascii=False) in text for text in used) for value in arguments.values())
