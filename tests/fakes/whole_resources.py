"""Documents of every kind of resource, in which each field of its contract stands."""

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


def llm(**more: Any) -> Document:
    """Write an LLM."""
    return document("LLM", {"model": "m-1", **more})


def agent(**more: Any) -> Document:
    """Write an agent declared on our runtime."""
    prompts = {"system": "prompts/system.md", "user": "prompts/user.md"}
    return document("Agent", {"description": "Answers.", "llm": "m", "prompts": prompts, **more})


def texts(*, system: str = "Be kind.", user: str = "{context}{question}") -> Document:
    """Write an agent whose prompts stand in it."""
    return agent(prompts={"systemText": system, "userText": user})


def python(python: Document | None = None, **more: Any) -> Document:
    """Write an agent that is a callable."""
    return document(
        "Agent", {"description": "Answers.", "python": {"callable": "agent:predict", **(python or {})}, **more}
    )


def endpoint(**more: Any) -> Document:
    """Write an agent that is an endpoint."""
    return document("Agent", {"description": "Answers.", "endpoint": {"llm": "m", **more.pop("endpoint", {})}, **more})


def run(**spec: Any) -> Document:
    """Write a TaskRun."""
    return document("TaskRun", spec)


def granting(**grant: Any) -> Document:
    """Write an agent with tools."""
    return agent(tools=[{"mcpServer": "s", "allow": ["look", "act"], **grant}])


def sampling(**parameters: Any) -> Document:
    """Write an LLM with parameters."""
    return llm(provider="openai", parameters=parameters)


WHOLE: Final[dict[str, Document]] = {
    "llm": llm(
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
    "llm elsewhere": llm(baseUrlFrom=SECRET, free=True, parameters={"maxCompletionTokens": 5}),
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
    "declared agent": agent(
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
    "agent of texts": agent(
        prompts={"systemText": "You answer.", "userText": "{context} {question}"},
        corpus={"files": ["a.md"]},
        retrieval={"mode": "vector", "embedder": {"kind": "openai", "model": "e-1", "baseUrlFrom": SECRET}},
    ),
    "python agent": python(
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
    "endpoint agent": endpoint(
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
    "run": run(
        agentRef="ops",
        userMessage="Why is it down?",
        deadlineSeconds=600.5,
        limits={"maxSteps": 2, "timeoutSeconds": 1.5, "maxTokens": 10, "maxCostUsd": 0.5},
        depth=0,
    ),
    "run of a task": run(taskRef="daily"),
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
            "toolCalls": [
                {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}, "extra": ""}
            ],
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
