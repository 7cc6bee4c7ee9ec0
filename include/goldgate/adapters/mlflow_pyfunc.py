"""The code file of every packaged agent: MLflow runs it where the model is loaded ("models from code").

It knows no agent and no runtime. What loads the agent is named in the model's configuration as `module:function`, a
function of the frozen folder and the environment that returns something with `predict(PredictRequest)`. The runtime
itself comes with the image.
"""

import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from goldgate.contracts.documents import parse
from goldgate.contracts.prediction import PredictRequest, PredictResponse
from goldgate.domain.errors import PermanentError


class LoadedAgent(Protocol):
    """What the loader returns."""

    def predict(self, request: PredictRequest) -> PredictResponse:
        """Answer one question."""


class _RowByRow:
    """`predict()` of MLflow on top of `predict()` of an agent.

    A class of its own, and `model_input` without a type: MLflow takes the type of a subclass's own `predict` for a
    schema, warns that there is none, or loads the whole agent where it is only logged, to guess a better one.
    """

    agent: LoadedAgent

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, ARG002
        """Answer each row: a data frame, a list of requests, or one request, in the fields of `PredictRequest`."""
        return [
            self.agent.predict(parse(row, PredictRequest, where=f"row {number}")).model_dump(mode="json")
            for number, row in enumerate(rows_of(model_input), start=1)
        ]


class PackagedAgent(_RowByRow, PythonModel):  # type: ignore[misc] # MLflow has no types
    """An agent as MLflow loads it."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the agent from the bundle in the model."""
        loader = _resolve(str(context.model_config["loader"]))
        self.agent = loader(Path(context.artifacts["bundle"]), env=os.environ)


def rows_of(model_input: Any) -> list[dict[str, object]]:
    """Read requests from whatever MLflow hands over. An optional column that is missing in a row is left out."""
    if isinstance(model_input, Mapping):
        rows: Sequence[Mapping[str, object]] = [model_input]
    elif isinstance(model_input, list):
        rows = model_input
    elif hasattr(model_input, "to_dict"):
        rows = model_input.to_dict(orient="records")
    else:
        raise PermanentError(f"Found input of type `{type(model_input).__name__}`; expected rows with `question`.")
    return [{name: _plain(value) for name, value in row.items() if not _is_missing(value)} for row in rows]


def _plain(value: object) -> object:
    """Turn arrays, which MLflow makes of lists, back into lists, however deep."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


def _is_missing(value: object) -> bool:
    """A hole in a data frame: None, or NaN, which alone differs from itself."""
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124 - see above


def _resolve(loader: str) -> Any:
    module, _, function = loader.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise PermanentError(
            f"The model names `{loader}` as its loader, which is not here: {error}. "
            "Load it where Goldgate is installed."
        ) from error


set_model(PackagedAgent())
