"""The model that an agent asks, with everything that stands behind it."""

from collections.abc import Mapping

from goldgate.agent.folder import AgentFolder
from goldgate.domain.errors import PermanentError
from goldgate.ports.model import ClosableModel


def open_model(agent: AgentFolder, *, env: Mapping[str, str]) -> ClosableModel:
    """Open the model of an agent.

    Raises:
        PermanentError: A variable that the LLM names is not set, or nobody knows what it charges.
    """
    from goldgate.adapters.openai_chat import OpenAIChatModel  # noqa: PLC0415 - 0.9 s, and only to answer

    spec = agent.llm.spec
    if spec.price is None:
        raise PermanentError(f"Found no `price` for model `{spec.model}`; expected one. Add it to the LLM.")
    return OpenAIChatModel(spec, price=spec.price, env=env)
