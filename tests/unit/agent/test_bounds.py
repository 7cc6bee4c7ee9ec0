"""What an agent is held to at its own seams, whatever its parts hold themselves to."""

from dataclasses import replace

import pytest

from goldgate.agent.memory.tokens import definition_tokens, message_tokens
from goldgate.agent.runtime import AgentRuntime
from goldgate.contracts.prediction import PredictRequest
from goldgate.domain.conversation import ToolRequest
from goldgate.domain.runs.state import Call, Limits, RunState, Spent
from goldgate.ports.agents import DelegateReply
from tests.fakes.equipment import ADD, equipment
from tests.fakes.in_memory_tool_session import InMemoryToolSession
from tests.fakes.scripted_chat_model import ScriptedChatModel, asks, says

QUESTION = "What do the three parts say?"


class TestTheWindowOfTheModel:
    spec = "tools: [{mcpServer: calc, allow: [add]}]\nlimits: {contextWindowTokens: 600, maxSteps: 6}\n"

    def test_is_kept_whatever_tools_return(self, tmp_path):
        """Each result alone would fill it, and three come; the system prompt and the question go with every call."""
        talkative = InMemoryToolSession({"add": (ADD, lambda a: f"part {a}: " + "many words of little use, " * 500)})
        calls = [asks(ToolRequest(id=f"c{a}", name="add", arguments=f'{{"a": {a}}}')) for a in range(3)]
        model = ScriptedChatModel(*calls, says("Little."))
        agent = AgentRuntime(equipment(tmp_path, model, self.spec, session=talkative))

        response = agent.predict(PredictRequest(question=QUESTION))

        assert (response.answer, len(model.conversations)) == ("Little.", 4)
        assert [sent[0].role for sent in model.conversations] == ["system"] * 4
        assert all(any(QUESTION in message.content for message in sent) for sent in model.conversations)
        beside = definition_tokens([ADD])
        assert max(sum(map(message_tokens, sent)) for sent in model.conversations) <= 600 - beside

    def test_leaves_room_for_the_definitions_of_tools(self, tmp_path):
        wordy = replace(ADD, description="Adds a number to another. " * 50)
        talkative = InMemoryToolSession({"add": (ADD, lambda a: f"part {a}: " + "many words of little use, " * 500)})
        model = ScriptedChatModel(asks(ToolRequest(id="c1", name="add", arguments='{"a": 1}')), says("Little."))
        made = equipment(tmp_path, model, self.spec, session=talkative)
        made.toolbox.definitions = (wordy,)

        AgentRuntime(made).predict(PredictRequest(question=QUESTION))

        (_, sent) = model.conversations
        assert sum(map(message_tokens, sent)) + definition_tokens([wordy]) <= 600
        assert sent[-1].role == "tool"

    def test_that_not_even_the_system_prompt_fits_ends_the_run_before_the_model_is_asked(self, tmp_path):
        model = ScriptedChatModel(says("Yes."))
        made = equipment(tmp_path, model, "limits: {contextWindowTokens: 500}\n")
        prompts = replace(made.folder.prompts, system="You answer. " * 2_000)
        agent = AgentRuntime(replace(made, folder=replace(made.folder, prompts=prompts)))

        response = agent.predict(PredictRequest(question=QUESTION))

        assert (response.error or "").startswith("context: ")
        assert model.conversations == []


class EchoDelegate:
    """Implements `goldgate.ports.agents.Delegate`, and notes how deep it was asked."""

    def __init__(self) -> None:
        self.depths: list[int] = []

    def ask(self, agent: str, message: str, *, depth: int, **_: object) -> DelegateReply:
        self.depths.append(depth)
        return DelegateReply(content=f"{agent}: {message}", is_error=False, spent=Spent())


class TestTheDepthOfAgentsThatAskAgents:
    spec = "agents: [{agent: other, description: Knows.}]\nlimits: {maxDepth: 2}\n"

    @pytest.mark.parametrize(("depth", "asked"), [(0, [1]), (1, [2]), (2, []), (7, [])])
    def test_is_held_when_the_call_is_made(self, tmp_path, depth, asked):
        """A bundle is held to it when it is frozen; a record says how deep a run already is."""
        agent = AgentRuntime(equipment(tmp_path, ScriptedChatModel(says("Yes.")), self.spec))
        delegate = EchoDelegate()
        work = agent.work(PredictRequest(question=QUESTION), depth=depth, delegate=delegate)
        call = Call(id="c1", key="k-0", name="ask_other", arguments='{"message": "why?"}')

        returned = work.call(RunState(run_id="r", limits=Limits(max_steps=4, timeout_s=20)), call)

        assert delegate.depths == asked
        assert returned.is_error is not bool(asked)
        assert ("deep at most" in returned.content) is not bool(asked)
