"""The model that an agent asks, with everything that stands behind it."""

import time
from collections.abc import Mapping

from goldgate.agent.folder import AgentFolder
from goldgate.agent.memory.compaction import compact
from goldgate.agent.resilience.breakers import Breakers, GuardedModel
from goldgate.agent.resilience.fallbacks import Link, ModelChain
from goldgate.contracts.llm import LLMSpec
from goldgate.contracts.prices import price_of
from goldgate.domain.models.breaker import BreakerRule
from goldgate.ports.model import ClosableModel

_BREAKERS = Breakers(clock=time.monotonic)
"""Of this process: agents that ask the same model of the same endpoint learn from each other."""


def open_model(agent: AgentFolder, *, env: Mapping[str, str]) -> ClosableModel:
    """Open the model of an agent, its fallbacks behind it.

    Raises:
        PermanentError: A variable that an LLM names is not set, or nobody knows what it charges.
    """
    own = agent.llm.metadata.name
    specs = {name: llm.spec for name, llm in agent.llms.items()} | {own: agent.llm.spec}
    fallbacks = agent.agent.spec.fallbacks
    used = dict.fromkeys([own, *(fallback.llm or own for fallback in fallbacks)])
    for name in used:
        price_of(specs[name])  # before anything is opened
    opened: dict[str, GuardedModel] = {}
    try:
        for name in used:
            opened[name] = open_llm(specs[name], env=env)
    except BaseException:
        for model in opened.values():
            model.close()
        raise
    return ModelChain(
        Link(model=opened[own], timeout_s=specs[own].timeout_seconds),
        [
            Link(
                model=opened[fallback.llm or own],
                timeout_s=specs[fallback.llm or own].timeout_seconds,
                context_tokens=fallback.context_tokens,
            )
            for fallback in fallbacks
        ],
        compact=compact,
        clock=time.monotonic,
    )


def open_llm(spec: LLMSpec, *, env: Mapping[str, str]) -> GuardedModel:
    """Open one LLM, under its breaker and without fallbacks.

    Raises:
        PermanentError: A variable that it names is not set, or nobody knows what it charges.
    """
    from goldgate.adapters.openai_chat.model import OpenAIChatModel  # noqa: PLC0415 - 0.9 s, and only to answer

    model = OpenAIChatModel(spec, price=price_of(spec).price, env=env)
    rule = BreakerRule(failures=spec.breaker.failures, open_s=spec.breaker.open_seconds)
    return GuardedModel(model, breakers=_BREAKERS, key=(model.address, model.name, rule), rule=rule)
