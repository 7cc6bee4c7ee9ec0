"""Documents of every kind of resource: whole ones, in which each field of the contract stands, and broken ones."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from goldgate.contracts.cluster import ClusterTaskRun, Part
from goldgate.contracts.foreign import EndpointAgent, PythonAgent, agent_kind
from goldgate.contracts.llm import LLM
from goldgate.contracts.resources import Agent, MCPServer
from goldgate.contracts.task_runs import Task

Document = dict[str, Any]

_CONTRACTS: Final[dict[str, type[BaseModel]]] = {
    "LLM": LLM,
    "MCPServer": MCPServer,
    "Task": Task,
    "TaskRun": ClusterTaskRun,
    "Part": Part,
}
_AGENTS: Final[dict[str, type[BaseModel]]] = {"declared": Agent, "python": PythonAgent, "endpoint": EndpointAgent}

PRICE: Final = {
    "inputUsdPerMillionTokens": 0.15,
    "cachedInputUsdPerMillionTokens": 0.075,
    "outputUsdPerMillionTokens": 0.6,
}
SECRET: Final = {"env": "SOME_KEY", "secret": {"name": "keys", "key": "some-key"}}
LIMIT: Final = {"requestsPerMinute": 30.5, "burst": 3}

CONTRACTS: Final = (*_CONTRACTS.values(), *_AGENTS.values())


def document(kind: str, spec: object, **parts: Any) -> Document:
    """Write a document of a kind."""
    return {"apiVersion": "goldgate.dev/v1alpha1", "kind": kind, "metadata": {"name": "a"}, "spec": spec, **parts}


def contract_of(written: Document) -> type[BaseModel]:
    """Find the contract that a document keeps, or breaks."""
    kind = agent_kind(written)
    return _AGENTS[kind] if kind else _CONTRACTS[written["kind"]]


def _llm(**more: Any) -> Document:
    return document("LLM", {"model": "m-1", **more})


def _agent(**more: Any) -> Document:
    prompts = {"system": "prompts/system.md", "user": "prompts/user.md"}
    return document("Agent", {"description": "Answers.", "llm": "m", "prompts": prompts, **more})


def _python(python: Document | None = None, **more: Any) -> Document:
    return document(
        "Agent", {"description": "Answers.", "python": {"callable": "agent:predict", **(python or {})}, **more}
    )


def _endpoint(**more: Any) -> Document:
    return document("Agent", {"description": "Answers.", "endpoint": {"llm": "m", **more.pop("endpoint", {})}, **more})


def _run(**spec: Any) -> Document:
    return document("TaskRun", spec)


def _granting(**grant: Any) -> Document:
    return _agent(tools=[{"mcpServer": "s", "allow": ["look", "act"], **grant}])


def _sampling(**parameters: Any) -> Document:
    return _llm(provider="openai", parameters=parameters)


WHOLE: Final[dict[str, Document]] = {
    "llm": _llm(
        provider="openai",
        baseUrl="https://host.example:8443/v1",
        apiKeyFrom=SECRET,
        price=PRICE,
        free=False,
        parameters={
            "temperature": 0.5,
            "topP": 0.9,
            "maxTokens": 100,
            "seed": 7,
            "frequencyPenalty": 0.1,
            "presencePenalty": -0.1,
            "stop": ["END"],
            "reasoningEffort": "low",
            "extra": {"logit_bias": {"1": None}, "user": "u", "flags": [1, None, "x"]},
        },
        timeoutSeconds=10.5,
        maxRetries=2,
        maxRequestBytes=1000,
        maxResponseBytes=1000,
        breaker={"failures": 2, "openSeconds": 1.5},
    ),
    "llm elsewhere": _llm(baseUrlFrom=SECRET, free=True, parameters={"maxCompletionTokens": 5}),
    "program": document(
        "MCPServer",
        {
            "command": "python",
            "args": ["server.py"],
            "env": {"PLAIN": "x"},
            "envFrom": {"KEY": SECRET},
            "timeoutSeconds": 1.5,
            "maxRestarts": 0,
            "recheckSeconds": 0,
        },
    ),
    "address": document("MCPServer", {"url": "https://tools.example/mcp", "headersFrom": {"Authorization": SECRET}}),
    "declared agent": _agent(
        corpus={"files": ["docs/**/*.md"], "builder": "corpus.py"},
        retrieval={
            "mode": "hybrid",
            "candidates": 40,
            "k": 6,
            "contextTokens": 1500,
            "lexicalWeight": 1,
            "vectorWeight": 0.5,
            "reranker": "late-interaction",
            "embedder": {"kind": "openai", "model": "e-1", "baseUrl": "https://e.example/v1", "apiKeyFrom": SECRET},
            "minRelevance": 0.16,
            "longQuestion": {"overTokens": 100, "k": 10, "contextTokens": 3000},
        },
        tools=[
            {
                "mcpServer": "reference",
                "allow": ["look", "put", "act"],
                "pure": ["look"],
                "idempotent": ["put"],
                "approve": ["act"],
                "unknownFate": "fail",
            }
        ],
        agents=[{"agent": "other", "description": "Knows more.", "approve": True}],
        person={"name": "ask_somebody", "description": "Asks."},
        fallbacks=[{"llm": "other", "contextTokens": 1000}],
        controller={"plan": True, "reflect": False},
        limits={
            "maxSteps": 4,
            "timeoutSeconds": 20.5,
            "maxTokens": 1000,
            "maxCostUsd": 0.5,
            "maxParallelCalls": 2,
            "maxDepth": 0,
            "contextWindowTokens": 500,
            "maxResultTokens": 16,
            "maxQuestionChars": 8000,
            "maxInputChars": 9000,
        },
        safety={
            "blockPersonalData": True,
            "blockInjections": False,
            "refuse": [{"name": "shares", "terms": ["buy"], "pattern": r"\bshares?\b", "reason": "No advice."}],
            "refusal": "I cannot.",
            "rateLimit": LIMIT,
        },
    ),
    "agent of texts": _agent(
        prompts={"systemText": "You answer.", "userText": "{question}"},
        corpus={"files": ["a.md"]},
        retrieval={"mode": "vector", "embedder": {"kind": "openai", "model": "e-1", "baseUrlFrom": SECRET}},
    ),
    "python agent": _python(
        {
            "requirements": "requirements.txt",
            "pythonVersion": "3.11",
            "env": {"PLAIN": "x"},
            "envFrom": {"KEY": SECRET},
            "nature": "pure",
            "maxConcurrency": 2,
            "startSeconds": 1.5,
            "maxRestarts": 0,
        },
        reports=["usage", "citations"],
        model={"name": "m-1", "price": PRICE, "free": False},
        limits={
            "timeoutSeconds": 20.5,
            "maxTokens": 1000,
            "maxCostUsd": 0.5,
            "maxQuestionChars": 8000,
            "maxInputChars": 9000,
            "maxAnswerBytes": 1000,
        },
        safety={"blockPersonalData": True, "blockInjections": True, "refusal": "I cannot.", "rateLimit": LIMIT},
    ),
    "endpoint agent": _endpoint(
        endpoint={"systemPrompt": "prompts/system.md", "mode": "chat", "nature": "acts"},
        limits={
            "timeoutSeconds": 20.5,
            "maxTokens": 1000,
            "maxCostUsd": 0.5,
            "maxQuestionChars": 8000,
            "maxInputChars": 9000,
            "maxAnswerBytes": 1000,
        },
        safety={"blockPersonalData": False, "blockInjections": False, "refusal": "I cannot.", "rateLimit": LIMIT},
    ),
    "task": document("Task", {"agentRef": "ops", "userMessage": "Why is it down?"}),
    "run": _run(
        agentRef="ops",
        userMessage="Why is it down?",
        deadlineSeconds=600.5,
        limits={"maxSteps": 0, "timeoutSeconds": 1.5, "maxTokens": 10, "maxCostUsd": 0.5},
        depth=1,
    ),
    "run of a task": _run(taskRef="daily"),
    "part": document("Part", {"digest": "0" * 64, "index": 0, "count": 1, "text": "x"}),
}
"""Accepted. Together they hold every field of every contract."""

STATUS: Final[Document] = {
    "phase": "ToolCallsPending",
    "status": "Pending",
    "ready": False,
    "statusDetail": "Calls a tool.",
    "error": None,
    "userMessagePreview": "Why is it …",
    "output": "Because.",
    "refused": False,
    "safetyFlags": ["injection_in_context"],
    "citations": ["a"],
    "retrieved": ["a", "b"],
    "contextWindow": [
        {"role": "user", "content": "Why is it down?", "isError": False},
        {
            "role": "assistant",
            "content": "",
            "toolCalls": [{"id": "1", "function": {"name": "look", "arguments": None}}],
            "toolCallId": None,
        },
        {"role": "tool", "content": "x", "toolCallId": "1", "isError": True},
    ],
    "calls": [
        {
            "id": "1",
            "name": "look",
            "arguments": "{}",
            "extra": "",
            "nature": "pure",
            "need": "approval",
            "question": "May it?",
            "key": "k",
            "fate": "awaited",
            "content": "",
            "isError": False,
        }
    ],
    "usage": {
        "llmCalls": 1,
        "toolCalls": 1,
        "tokensIn": 10,
        "tokensOut": 5,
        "tokensCached": 2,
        "costUsd": 0.001,
        "isMetered": True,
        "activeSeconds": 1.5,
        "takeUps": 0,
    },
    "traceId": "0" * 32,
    "spanId": "0" * 16,
    "startTime": "2026-01-02T03:04:05Z",
    "updateTime": "2026-01-02T03:04:05.678901Z",
    "completionTime": "2026-01-02T03:04:05+01:00",
    "events": [{"at": "2026-01-02T03:04:05Z", "reason": "ValidationSucceeded", "message": "All is there."}],
    "eventsDropped": 0,
    "progress": {
        "runId": "r",
        "bundle": "b",
        "waitsForAgent": False,
        "task": {"agentRef": "ops", "userMessage": "Why?"},
        "limits": {"maxSteps": 1, "timeoutSeconds": 1.5, "maxTokens": 10, "maxCostUsd": 0.5},
        "plans": False,
        "reflects": False,
        "stage": "act",
        "trail": [{"call": "c", "result": "r"}],
        "told": ["steps"],
    },
    "held": {"holder": "pod/x-1", "epoch": 3, "renewTime": "2026-01-02T03:04:05Z", "leaseSeconds": 30},
    "whole": {"digest": "0" * 64, "sizeBytes": 800_000, "parts": 2},
}
"""Of a run: every field that may stand there."""

ACCEPTED: Final[dict[str, Document]] = {
    "an address with a path and a user": _llm(free=True, baseUrl="HTTP://user:pass@[::1]:1/v1/x%20y"),
    "a low temperature of anthropic": _llm(provider="anthropic", parameters={"temperature": 1}),
    "an anthropic without what it ignores": _llm(provider="anthropic", parameters={"extra": {"top_k": 3}}),
    "no price": _llm(provider="openai", free=True),
    "a server with empty lists": document("MCPServer", {"url": "http://h", "args": [], "env": {}, "envFrom": {}}),
    "a program with no headers": document("MCPServer", {"command": "x", "headersFrom": {}}),
    "no retrieval": _agent(retrieval={"mode": "none"}),
    "retrieval of what a program makes": _agent(corpus={"builder": "b.py"}, retrieval={}),
    "a built-in embedder": _agent(retrieval={"mode": "none", "embedder": {"model": ""}}),
    "a path with dots": _agent(prompts={"system": "./a//.b/..c/d.md/.", "user": "x"}),
    "an agent that may not be asked twice": _python({"nature": "acts"}),
    "an agent without safety": _python(safety={"blockPersonalData": False}),
    "an agent without a refusal": _python(safety={"refusal": None}),
    "a callable of a module in a folder": _python({"callable": "a.b_1:C.predict"}),
    "a refusal without letters": _agent(safety={"refusal": ""}),
    "a rule by words": _agent(safety={"refuse": [{"name": "r", "terms": [" buy "], "reason": "r"}]}),
    "a shorter prompt": _agent(fallbacks=[{"contextTokens": 200}]),
    "nulls": _run(taskRef=None, agentRef="a", userMessage="m", deadlineSeconds=None),
    "a long name": {**_run(taskRef="t"), "metadata": {"name": "a" * 63}},
    "labels": {
        **_run(taskRef="t"),
        "metadata": {"name": "a", "labels": {"a.b/C_d": "", "e": "F.g"}, "annotations": {"a.b/c": "anything at all"}},
    },
}

REFUSED: Final[dict[str, Document]] = {
    # what a run asks
    "a run of nothing": _run(),
    "a run of nulls": _run(taskRef=None, agentRef=None, userMessage=None),
    "a run without a message": _run(agentRef="a"),
    "a run without an agent": _run(userMessage="m"),
    "a run of both": _run(taskRef="t", agentRef="a", userMessage="m"),
    "a run of a task and an agent": _run(taskRef="t", agentRef="a"),
    "a run of a task and a message": _run(taskRef="t", userMessage="m"),
    "an empty message": _run(agentRef="a", userMessage=""),
    # names
    "a name with a dot": {**_run(taskRef="t"), "metadata": {"name": "a.b"}},
    "a name in capitals": {**_run(taskRef="t"), "metadata": {"name": "A"}},
    "a name that is too long": {**_run(taskRef="t"), "metadata": {"name": "a" * 64}},
    "an LLM whose name has a dot": {**_llm(provider="openai"), "metadata": {"name": "m-1.5"}},
    "an agent whose name has a dot": {**_agent(), "metadata": {"name": "a.b"}},
    "no name": {**_run(taskRef="t"), "metadata": {}},
    "a label with a space": {**_run(taskRef="t"), "metadata": {"name": "a", "labels": {"a": "b c"}}},
    "a label whose name has a space": {**_run(taskRef="t"), "metadata": {"name": "a", "labels": {"a b": "c"}}},
    "an annotation whose name has a space": {
        **_run(taskRef="t"),
        "metadata": {"name": "a", "annotations": {"a b": ""}},
    },
    "another version": {**_run(taskRef="t"), "apiVersion": "goldgate.dev/v9"},
    # models
    "no address": _llm(),
    "two addresses": _llm(baseUrl="https://h", baseUrlFrom=SECRET),
    "an address without a scheme": _llm(baseUrl="localhost:8000/v1"),
    "an address of another scheme": _llm(baseUrl="ftp://h/v1"),
    "an address without a host": _llm(baseUrl="https:///v1"),
    "an address with a query": _llm(baseUrl="https://h/v1?x=1"),
    "an address with an empty query": _llm(baseUrl="https://h/v1?"),
    "an address with a fragment": _llm(baseUrl="https://h/v1#x"),
    "an address with a space": _llm(baseUrl="https://h/v 1"),
    "an address with a wide space": _llm(baseUrl="https://h/v\u00a01"),
    "an address with a broken port": _llm(baseUrl="https://h:x/v1"),
    "an address with a port too high": _llm(baseUrl="https://h:65536/v1"),
    "an address with a broken host": _llm(baseUrl="https://[::1/v1"),
    "free and priced": _llm(provider="openai", free=True, price=PRICE),
    "two limits of an answer": _sampling(maxTokens=1, maxCompletionTokens=1),
    "a seed of anthropic": _llm(provider="anthropic", parameters={"seed": 7}),
    "a penalty of anthropic": _llm(provider="anthropic", parameters={"frequencyPenalty": 0.1}),
    "a presence penalty of anthropic": _llm(provider="anthropic", parameters={"presencePenalty": 0.1}),
    "effort of anthropic": _llm(provider="anthropic", parameters={"reasoningEffort": "low"}),
    "logit bias of anthropic": _llm(provider="anthropic", parameters={"extra": {"logit_bias": {"1": 1}}}),
    "a high temperature of anthropic": _llm(provider="anthropic", parameters={"temperature": 1.5}),
    "a model in extra": _sampling(extra={"model": "other"}),
    "a stream in extra": _sampling(extra={"stream": True}),
    "a temperature in extra": _sampling(extra={"temperature": 1}),
    "five stops": _sampling(stop=list("abcde")),
    "a key variable in small letters": _llm(provider="openai", apiKeyFrom={"env": "key"}),
    "a secret without a key": _llm(provider="openai", apiKeyFrom={"env": "KEY", "secret": {"name": "s"}}),
    # tool servers
    "neither program nor address": document("MCPServer", {}),
    "program and address": document("MCPServer", {"command": "x", "url": "https://h"}),
    "an address with arguments": document("MCPServer", {"url": "https://h", "args": ["x"]}),
    "an address with variables": document("MCPServer", {"url": "https://h", "env": {"A": "b"}}),
    "an address with secret variables": document("MCPServer", {"url": "https://h", "envFrom": {"A": SECRET}}),
    "a program with headers": document("MCPServer", {"command": "x", "headersFrom": {"A": SECRET}}),
    "a variable in small letters": document("MCPServer", {"command": "x", "env": {"a": "b"}}),
    "a secret variable in small letters": document("MCPServer", {"command": "x", "envFrom": {"a": SECRET}}),
    # declared agents
    "an agent without a model": document("Agent", {"description": "x", "prompts": {"system": "a", "user": "b"}}),
    "an agent without prompts": document("Agent", {"description": "x", "llm": "m"}),
    "two system prompts": _agent(prompts={"system": "a", "systemText": "b", "user": "c"}),
    "no system prompt": _agent(prompts={"user": "c"}),
    "two prompts of the user": _agent(prompts={"system": "a", "user": "b", "userText": "c"}),
    "no prompt of the user": _agent(prompts={"system": "a"}),
    "an absolute path": _agent(prompts={"system": "/a", "user": "b"}),
    "a path out of the folder": _agent(prompts={"system": "a/../../b", "user": "b"}),
    "a path of dots": _agent(prompts={"system": "./.", "user": "b"}),
    "a path with a backslash": _agent(prompts={"system": "a\\b", "user": "b"}),
    "an empty path": _agent(prompts={"system": "", "user": "b"}),
    "retrieval from nothing": _agent(retrieval={"mode": "lexical"}),
    "retrieval of the default mode from nothing": _agent(retrieval={}),
    "retrieval from no files": _agent(retrieval={"mode": "hybrid"}, corpus={"files": []}),
    "an embedder without a model": _agent(retrieval={"mode": "none", "embedder": {"kind": "openai", "baseUrl": "h"}}),
    "an embedder without an address": _agent(retrieval={"mode": "none", "embedder": {"kind": "openai", "model": "m"}}),
    "an embedder with two addresses": _agent(
        retrieval={"mode": "none", "embedder": {"kind": "openai", "model": "m", "baseUrl": "h", "baseUrlFrom": SECRET}}
    ),
    "a built-in embedder with an address": _agent(retrieval={"mode": "none", "embedder": {"baseUrl": "h"}}),
    "a built-in embedder with two addresses": _agent(
        retrieval={"mode": "none", "embedder": {"kind": "wordllama", "baseUrl": "h", "baseUrlFrom": SECRET}}
    ),
    "a built-in embedder with a key": _agent(retrieval={"mode": "none", "embedder": {"apiKeyFrom": SECRET}}),
    "a pure tool that is not allowed": _granting(pure=["other"]),
    "an idempotent tool that is not allowed": _granting(idempotent=["other"]),
    "a tool to approve that is not allowed": _granting(approve=["other"]),
    "a tool that is pure and idempotent": _granting(pure=["look"], idempotent=["look"]),
    "no tool allowed": _granting(allow=[]),
    "more tools than are checked": _granting(allow=[f"t{number}" for number in range(101)]),
    "a fallback to nothing": _agent(fallbacks=[{}]),
    "a refusal of nothing": _agent(safety={"refuse": [{"name": "r", "reason": "r"}]}),
    "a refusal of no words": _agent(safety={"refuse": [{"name": "r", "reason": "r", "terms": []}]}),
    "a refusal of an empty word": _agent(safety={"refuse": [{"name": "r", "reason": "r", "terms": ["a", "\u2003"]}]}),
    "a pattern that looks around": _agent(safety={"refuse": [{"name": "r", "reason": "r", "pattern": "(?=a)b"}]}),
    "a pattern that looks back": _agent(safety={"refuse": [{"name": "r", "reason": "r", "pattern": "(a)\\1"}]}),
    "a declared agent that reports": _agent(reports=["usage"]),
    "a declared agent with a model of its own": _agent(model={"name": "m"}),
    "a declared agent with a limit of others": _agent(limits={"maxAnswerBytes": 5000}),
    "a declared agent whose refusal is null": _agent(prompts=None),
    # agents written elsewhere
    "two kinds of agents": {**_python(), "spec": {**_python()["spec"], **_endpoint()["spec"]}},
    "a callable with a model document": _python(llm="m"),
    "a callable with prompts": _python(prompts={"system": "a", "user": "b"}),
    "a callable with tools": _python(tools=[]),
    "a callable with steps": _python(limits={"maxSteps": 3}),
    "a callable with rules": _python(safety={"refuse": []}),
    "a callable with an empty refusal": _python(safety={"refusal": ""}),
    "a callable that blocks and says nothing": _python(safety={"blockInjections": True}),
    "a callable with null for a refusal": _python(safety={"blockPersonalData": True, "refusal": None}),
    "a callable without a function": _python({"callable": "agent"}),
    "a callable with a dash": _python({"callable": "my-agent:predict"}),
    "a callable of an old Python": _python({"pythonVersion": "3.8"}),
    "a callable that sets what is set": _python({"env": {"HOME": "/root"}}),
    "a callable that reads what is set": _python({"envFrom": {"PYTHONPATH": SECRET}}),
    "a callable with a variable twice": _python({"env": {"A": "x"}, "envFrom": {"A": SECRET}}),
    "a callable that is free and priced": _python(model={"name": "m", "free": True, "price": PRICE}),
    "a callable that reports what nobody knows": _python(reports=["mood"]),
    "no description": document("Agent", {"python": {"callable": "a:b"}}),
    "an endpoint without a model": document("Agent", {"description": "x", "endpoint": {}}),
    "an endpoint that reports": _endpoint(reports=["usage"]),
    "an endpoint with steps": _endpoint(limits={"maxSteps": 3}),
    "an endpoint that blocks and says nothing": _endpoint(safety={"blockPersonalData": True}),
    # parts
    "a part that is too large": document("Part", {"digest": "0" * 64, "index": 0, "count": 1, "text": "x" * 700_001}),
    "a part of no text": document("Part", {"digest": "short", "index": 0, "count": 1, "text": ""}),
}


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A whole document with one thing done to it."""

    what: str
    """What was done, such as `a number in quotation marks`."""
    where: tuple[str | int, ...]
    document: Document

    def __str__(self) -> str:
        """Name it for a test's report."""
        return f"{self.document['kind']} {'.'.join(map(str, self.where))}: {self.what}"


_WRONG: Final[dict[str, object]] = {
    "null": None,
    "an empty text": "",
    "a text": "x y/../Z",
    "a long text": "a" * 10_000,
    "a number in quotation marks": "5",
    "a flag in quotation marks": "true",
    "a whole number": 5,
    "a number": 0.5,
    "a whole number with a point": 1.0,
    "a number below": -3,
    "a number above": 10**12,
    "a number beyond 64 bits": 10**19,
    "a flag": True,
    "an empty list": [],
    "a list": [1],
    "a list of names": ["look"],
    "an empty object": {},
    "an object": {"never": "heard of"},
}
"""What is put in the place of every value."""


def broken(whole: Document, *, part: str = "spec") -> Iterator[Broken]:
    """Do to every value of a document all that can be done: remove it, put another there, add to it."""
    for where, value in _values(whole[part], (part,)):
        if where != (part,):
            yield Broken(what="left out", where=where, document=_without(whole, where))
        for what, wrong in _WRONG.items():
            if not _same(wrong, value):
                yield Broken(what=what, where=where, document=_with(whole, where, deepcopy(wrong)))
        if isinstance(value, dict):
            grown = {**deepcopy(value), "un known": "x"}
            yield Broken(what="a key more", where=where, document=_with(whole, where, grown))


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _values(value: object, where: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], object]]:
    yield where, value
    match value:
        case dict():
            for key, inner in value.items():
                yield from _values(inner, (*where, key))
        case list():
            for place, inner in enumerate(value):
                yield from _values(inner, (*where, place))


def _with(whole: Document, where: tuple[str | int, ...], value: object) -> Document:
    copy = deepcopy(whole)
    _parent(copy, where)[where[-1]] = value
    return copy


def _without(whole: Document, where: tuple[str | int, ...]) -> Document:
    copy = deepcopy(whole)
    del _parent(copy, where)[where[-1]]
    return copy


def _parent(document: Document, where: tuple[str | int, ...]) -> Any:
    found: Any = document
    for step in where[:-1]:
        found = found[step]
    return found
