"""Decide whether the question asks for a tool, and for which."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from goldgate.standin.arguments import read_arguments
from goldgate.standin.parameters import properties_of
from goldgate.standin.reading import Reading
from goldgate.standin.text import content_stems
from goldgate.standin.wire import ChatRequest, Function, NamedChoice

MIN_SHARED_STEMS = 2
"""A question asks for a tool if it shares this many content words with the tool's name, description and parameters.

The words of the arguments themselves do not count: they say what the tool is to work on, not that it is asked for.
"""

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
    best, most = None, 0
    for function in request.functions:
        arguments = None if function.name in done else _read(function, reading)
        if arguments is None or _is_answered(arguments, reading):
            continue
        asked = _asked(reading.question, arguments)
        shared = len(asked & _stems(function))
        enough = shared >= MIN_SHARED_STEMS or (shared > 0 and shared >= MIN_SHARED_RATIO * len(asked))
        if enough and shared > most:
            best, most = ToolChoice(name=function.name, arguments=arguments), shared
    return best


def _forced(functions: Sequence[Function], reading: Reading) -> ToolChoice:
    """Take the readable tool that shares most words, else, with no argument at all, the one that shares most."""
    asked = _asked(reading.question, {})
    ranked = sorted(functions, key=lambda function: -len(asked & _stems(function)))
    for function in ranked:
        arguments = _read(function, reading)
        if arguments is not None:
            return ToolChoice(name=function.name, arguments=arguments)
    return ToolChoice(name=ranked[0].name, arguments={})


def _stems(function: Function) -> set[str]:
    parameters = properties_of(function.parameters)
    described = [f"{name} {schema.get('description', '')}" for name, schema in parameters.items()]
    return set(content_stems(" ".join([function.name, function.description, *described])))


def _asked(question: str, arguments: Mapping[str, object]) -> set[str]:
    """List the stems of a question without those of the values in it: they say what, not what for."""
    values = content_stems(" ".join(str(value) for value in arguments.values()))
    return {stem for stem in content_stems(question) if not stem.isdigit()} - set(values)


def _read(function: Function, reading: Reading) -> dict[str, object] | None:
    """Read the arguments off the question or, if it lacks them, off the question and what was said before."""
    arguments = read_arguments(function.parameters, reading.question)
    if arguments is None and reading.earlier:
        return read_arguments(function.parameters, f"{reading.question}\n{reading.earlier}")
    return arguments


def _is_answered(arguments: Mapping[str, object], reading: Reading) -> bool:
    """Tell whether earlier calls used all these values; a tool that takes none is answered once any tool ran."""
    used = [value for answer in reading.tool_answers for value in answer.arguments.values()]
    return bool(reading.tool_answers) and all(value in used for value in arguments.values())
