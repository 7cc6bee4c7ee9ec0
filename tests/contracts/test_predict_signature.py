"""The schema of `predict()` is a promise: a change of it is a change of this golden file, and is reviewed.

To accept one: `python -m tests.contracts.test_predict_signature` from the checkout, with `include` on PYTHONPATH.
"""

import json
import warnings
from pathlib import Path

from goldgate.contracts.prediction import PredictRequest, PredictResponse

GOLDEN = Path(__file__).with_name("golden") / "predict_signature.json"


def signature() -> dict[str, object]:
    with warnings.catch_warnings():
        # MLflow 3.17 warns of its own type hints while it is imported.
        warnings.simplefilter("ignore")
        from goldgate.adapters.mlflow_tracking import INPUT_EXAMPLE, predict_signature
    written = predict_signature().to_dict()
    return {
        "inputs": json.loads(written["inputs"]),
        "outputs": json.loads(written["outputs"]),
        "input_example": INPUT_EXAMPLE,
    }


class TestPredictSignature:
    def test_is_the_one_that_was_promised(self):
        assert signature() == json.loads(GOLDEN.read_text())

    def test_has_the_fields_of_the_contract(self):
        for part, contract in (("inputs", PredictRequest), ("outputs", PredictResponse)):
            columns = {column["name"]: column["required"] for column in signature()[part]}  # type: ignore[attr-defined]

            assert list(columns) == list(contract.model_fields)
            assert {name for name, required in columns.items() if not required} == {
                name for name, field in contract.model_fields.items() if _may_miss(part, field.annotation, field)
            }

    def test_example_fits_the_contract(self):
        (example,) = json.loads(GOLDEN.read_text())["input_example"]

        assert PredictRequest.model_validate(example).model_dump() == example


def _may_miss(part: str, annotation: object, field) -> bool:
    """A request may leave out what has a default; a response always says everything, `error` perhaps with nothing."""
    return not field.is_required() if part == "inputs" else "None" in str(annotation)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(signature(), indent=2) + "\n")
