"""An image builder that answers as it is told."""

from pathlib import Path

from goldgate.contracts.release import ImageBuilt, ImageUnavailable


class ScriptedImages:
    """Implements `goldgate.ports.delivery.ImageBuilder`."""

    def __init__(self, *answers: ImageBuilt | ImageUnavailable) -> None:
        self._answers = list(answers)
        self.asked: list[dict[str, object]] = []

    def build(
        self, *, context: Path, dockerfile: Path, name: str, labels: dict[str, str]
    ) -> ImageBuilt | ImageUnavailable:
        self.asked.append({"context": context, "dockerfile": dockerfile, "name": name, "labels": labels})
        return self._answers.pop(0)
