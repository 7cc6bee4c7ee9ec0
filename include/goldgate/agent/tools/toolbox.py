"""The tools an agent may call: pinned by their definitions, allowed by name, checked before and after every call."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from pydantic import JsonValue

from goldgate.agent.tools.arguments import read_arguments
from goldgate.agent.tools.offers import Offer, offers, own_definition
from goldgate.agent.tools.pins import PinnedTool, diff
from goldgate.agent.tools.results import ToolOutcome, cleaned, outcome_of
from goldgate.contracts.resources import AgentGrant, AgentSpec, PersonGrant, ToolGrant
from goldgate.domain.conversation import ToolRequest
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.json_examples import example_of
from goldgate.domain.runs.state import Call, Fate, Need
from goldgate.ports.tools import ArgumentCheck, ToolSession

_log = logging.getLogger(__name__)

CompileSchema = Callable[[Mapping[str, JsonValue]], ArgumentCheck]

_LONGEST_QUESTION: Final = 4_000
_LONGEST_EXAMPLE: Final = 1_000


class Toolbox:
    """Calls tools for the model. Whatever goes wrong becomes a result that the model can act on."""

    def __init__(
        self,
        pins: Sequence[PinnedTool],
        *,
        spec: AgentSpec,
        sessions: Mapping[str, ToolSession],
        compile_schema: CompileSchema,
    ) -> None:
        """Prepare every check.

        Args:
            pins: One for each tool of the agent's grants.
            spec: What the agent may call, and how.
            sessions: The tool servers, by name.
            compile_schema: Prepares a check.

        Raises:
            PermanentError: A tool that is granted has no pin, or a schema is none.
        """
        self._offers = {offer.name: offer for offer in offers(spec)}
        pinned = {tool.name: tool for tool in pins}
        self._pins = {
            offer.name: pinned[offer.called]
            for offer in self._offers.values()
            if isinstance(offer.by, ToolGrant) and offer.called in pinned
        }
        self._sessions = sessions
        self._most_tokens = spec.limits.max_result_tokens
        definitions = [
            own_definition(offer) or replace(self._pinned(offer).definition, name=offer.name)
            for offer in self._offers.values()
        ]
        self.definitions = tuple(definitions)
        self._schemas = {each.name: each.input_schema for each in definitions}
        self._checks = {each.name: compile_schema(each.input_schema) for each in definitions}
        self._promises = {
            each.name: compile_schema(each.output_schema) for each in definitions if each.output_schema is not None
        }

    def open(self, *, within_s: float) -> list[str]:
        """Start every tool server now, so that no caller waits for it; say which cannot be reached.

        A server that is not there yet is tried again by the first call.
        """
        problems = []
        for server, session in self._sessions.items():
            try:
                session.definitions(within_s=within_s)
            except (PermanentError, TransientError) as error:
                problems.append(f"Tool server `{server}` is not available: {error}")
        return problems

    def prepare(self) -> None:
        """Load what the first call would wait for. No server is started or asked."""
        for session in self._sessions.values():
            session.prepare()

    def allows(self, name: str) -> bool:
        """Tell whether the agent may call something of that name."""
        return name in self._offers

    def agent_of(self, name: str) -> AgentGrant | None:
        """Find the agent that a call asks; None for any other call."""
        offer = self._offers.get(name)
        return offer.by if offer is not None and isinstance(offer.by, AgentGrant) else None

    def vet(self, request: ToolRequest) -> Call:
        """Hold one call that the model asks for to the tools and their schemas, before anything is done.

        Returns:
            `DONE` with a text for the model if it must not be made; `AWAITED` if a person has the word first; else
            `STARTED`.
        """
        call = Call(id=request.id, name=request.name, arguments=request.arguments)
        offer = self._offers.get(request.name)
        if offer is None:
            allowed = ", ".join(f"`{name}`" for name in self._offers) or "none"
            name = cleaned(request.name)[:80]
            return _refused(call, f"There is no tool `{name}`; the tools are: {allowed}.")
        arguments, problem = read_arguments(request.arguments)
        problems = f"- the arguments: {problem}" if problem else "\n".join(self._checks[offer.name](arguments))
        call = Call(id=request.id, name=offer.name, arguments=request.arguments, nature=offer.nature)
        if problems:
            return _refused(call, self._advice(offer, problems))
        if isinstance(offer.by, PersonGrant):
            return _awaited(call, Need.ANSWER, str(arguments["question"]))
        if offer.needs_approval:
            written = json.dumps(arguments, ensure_ascii=False, indent=2)
            return _awaited(call, Need.APPROVAL, f"May `{offer.called}` of {offer.source} be called with:\n{written}")
        return call

    def call(self, call: Call, *, within_s: float) -> ToolOutcome:
        """Make a call that was vetted, by its key. Never raises."""
        tool = self._pins.get(call.name)
        arguments, problem = read_arguments(call.arguments)
        if tool is None or problem or not self.allows(call.name):
            return ToolOutcome(content=f"`{call.name}` cannot be called like this. Answer without it.", is_error=True)
        session = self._sessions[tool.server]
        try:
            refusal = self._drift(tool, session, within_s=within_s)
            if refusal is not None:
                return ToolOutcome(content=f"{refusal} Answer without this tool.", is_error=True)
            result = session.call(tool.name, arguments, within_s=within_s, key=call.key)
        except Exception as error:  # noqa: BLE001 - whatever a session raises, the run goes on, and knows nothing of the call
            _log.exception("agent.tool.broke", extra={"tool": tool.name, "server": tool.server})
            kind = type(error).__name__
            content = f"`{tool.name}` broke ({kind}); it may or may not have acted."
            return ToolOutcome(content=content, is_error=True, is_fate_unknown=True)
        return outcome_of(result, check=self._promises.get(call.name), name=call.name, most_tokens=self._most_tokens)

    def close(self) -> None:
        """End every session."""
        for session in self._sessions.values():
            session.close()

    def _pinned(self, offer: Offer) -> PinnedTool:
        if offer.name not in self._pins:
            raise PermanentError(
                f"Found no pin for the tool `{offer.called}` of {offer.source}; freeze the agent again."
            )
        return self._pins[offer.name]

    def _drift(self, tool: PinnedTool, session: ToolSession, *, within_s: float) -> str | None:
        """Say for the model why a tool is not called; what its server offers now goes to the log alone."""
        try:
            offered = session.definitions(within_s=within_s)
        except (PermanentError, TransientError) as error:
            _log.warning("agent.tool.unavailable", extra={"server": tool.server, "reason": str(error)})
            return f"Tool server `{tool.server}` is not available."
        live = next((each for each in offered if each.name == tool.name), None)
        if tool.is_offered_as(live):
            return None
        shown = diff(tool.definition, live, server=tool.server)
        _log.warning("agent.tool.drifted", extra={"tool": tool.name, "server": tool.server, "diff": shown})
        if live is None:
            return f"Tool server `{tool.server}` no longer offers `{tool.name}`."
        return f"Tool `{tool.name}` is not the one that was reviewed, and is not called."

    def _advice(self, offer: Offer, problems: str) -> str:
        example = example_of(self._schemas[offer.name], fits=lambda value: not self._checks[offer.name](value))
        shown = "" if example is None else json.dumps(example, ensure_ascii=False)
        fitting = f"\nAn example that fits: {shown}" if shown and len(shown) <= _LONGEST_EXAMPLE else ""
        return (
            f"Not called: the arguments of `{offer.name}` do not fit its schema. Correct them and call again:\n"
            f"{problems}{fitting}"
        )


def _refused(call: Call, content: str) -> Call:
    return Call(
        id=call.id,
        name=call.name,
        arguments=call.arguments,
        nature=call.nature,
        fate=Fate.DONE,
        content=cleaned(content),
        is_error=True,
    )


def _awaited(call: Call, need: Need, question: str) -> Call:
    more = len(question) - _LONGEST_QUESTION
    # Whoever approves must know that there is more than is shown.
    cut = f"{question[:_LONGEST_QUESTION]} [… {more} more characters: they stand in the run]" if more > 0 else question
    return Call(
        id=call.id,
        name=call.name,
        arguments=call.arguments,
        nature=call.nature,
        fate=Fate.AWAITED,
        need=need,
        question=cut,
    )
