"""An agent that answers."""

from collections.abc import Callable

from goldgate.agent.episode import Episode, Equipment
from goldgate.contracts.prediction import PredictRequest, PredictResponse

_ANY_QUESTION = "How does this work?"


class AgentRuntime:
    """Answers questions, many threads at once, until it is closed."""

    def __init__(self, equipment: Equipment, *, digest: str = "", release: Callable[[], None] = lambda: None) -> None:
        """Take over what the agent works with; `release` gives back the rest when it is closed."""
        self.digest = digest
        """Of the bundle that answers, verified when it was loaded. Empty for an agent that is no bundle."""
        self._equipment = equipment
        self._release = release
        self._is_closed = False

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._equipment.folder.agent.metadata.name

    @property
    def prompt_id(self) -> str:
        """`<agent>@<first 12 digits of the digest of both prompts>`."""
        return self._equipment.folder.prompt_id

    @property
    def model(self) -> str:
        """The pinned model name."""
        return self._equipment.folder.llm.spec.model

    def warm_up(self, *, within_s: float = 30) -> list[str]:
        """Do now what the first question would wait for: start tool servers, touch the index and the reranker.

        The model is not asked. Returns what is not available yet; the agent answers without it.
        """
        knowledge = self._equipment.knowledge
        knowledge.rerank(_ANY_QUESTION, knowledge.find(_ANY_QUESTION).ids)
        return self._equipment.toolbox.open(within_s=within_s)

    def episode(self, request: PredictRequest) -> Episode:
        """Begin a question that the caller drives step by step."""
        return Episode(equipment=self._equipment, request=request)

    def predict(self, request: PredictRequest) -> PredictResponse:
        """Answer one question. What went wrong on the way is told in `error`, never raised."""
        episode = self.episode(request)
        episode.start()
        while not episode.is_over:
            episode.step()
        return episode.finish()

    def close(self) -> None:
        """End tool servers and give back temporary files. Closing twice does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._equipment.toolbox.close()
        self._release()
