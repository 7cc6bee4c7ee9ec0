"""Programs that answer as a test tells them to."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from goldgate.adapters.container_images.programs import Ran


class ScriptedPrograms:
    """Answers by the first words of a command; what it does not know is not installed."""

    def __init__(self, answers: Mapping[str, Ran | list[Ran]], *, pushed: str = "") -> None:
        """Take the answers, and the digest that a push writes into the file named for it."""
        self._pushed = pushed
        self._answers = {
            words: list(answer) if isinstance(answer, list) else answer for words, answer in answers.items()
        }
        self.asked: list[list[str]] = []
        self.environments: list[dict[str, str]] = []

    def __call__(self, command: Sequence[str], env: Mapping[str, str], within_s: float) -> Ran:
        assert within_s > 0
        self.asked.append(list(command))
        self.environments.append(dict(env))
        if self._pushed and "--digestfile" in command:
            Path(command[command.index("--digestfile") + 1]).write_text(self._pushed)
        for words, answer in self._answers.items():
            if " ".join(command).startswith(words):
                return answer.pop(0) if isinstance(answer, list) else answer
        return Ran(code=127, output="not installed")

    def builds(self) -> list[list[str]]:
        return [command for command in self.asked if command[1] == "build"]
