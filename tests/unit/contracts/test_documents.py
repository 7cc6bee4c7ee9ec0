"""Reading what people write: every problem with its file, line and field."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from goldgate.contracts.base import ContractError
from goldgate.contracts.documents import read_json, read_jsonl, read_yaml
from goldgate.contracts.gold import GoldRow
from goldgate.contracts.llm import LLM
from goldgate.contracts.policy import ReleasePolicy

LLM_DOCUMENT = """\
apiVersion: goldgate.dev/v1alpha1
kind: LLM
metadata:
  name: model-a
spec:
  model: model-a-2026-01
  baseUrl: http://127.0.0.1:9/v1
  price:
    inputUsdPerMillionTokens: 1
    cachedInputUsdPerMillionTokens: 0.5
    outputUsdPerMillionTokens: 2
"""


def written(folder: Path, text: str, name: str = "document.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


class TestReadYaml:
    def test_reads_camel_case_into_the_contract(self, tmp_path):
        llm = read_yaml(written(tmp_path, LLM_DOCUMENT), LLM)

        assert llm.spec.base_url == "http://127.0.0.1:9/v1"
        assert llm.spec.price.output_usd_per_million_tokens == 2

    def test_names_file_line_field_found_and_expected_of_an_unknown_field(self, tmp_path):
        path = written(tmp_path, LLM_DOCUMENT + "  temprature: 0.2\n")

        with pytest.raises(ContractError) as caught:
            read_yaml(path, LLM)

        (problem,) = caught.value.problems
        assert problem.where == f"{path}:12"
        assert problem.field == "spec.temprature"
        assert problem.found == "an unknown field"
        assert "no such field" in problem.expected

    def test_tells_all_problems_at_once(self, tmp_path):
        broken = LLM_DOCUMENT.replace("name: model-a", "name: Model A").replace("Tokens: 1\n", "Tokens: -1\n")

        with pytest.raises(ContractError) as caught:
            read_yaml(written(tmp_path, broken), LLM)

        assert [problem.field for problem in caught.value.problems] == [
            "metadata.name",
            "spec.price.inputUsdPerMillionTokens",
        ]

    def test_points_at_the_parent_of_a_missing_field(self, tmp_path):
        path = written(tmp_path, LLM_DOCUMENT.replace("  model: model-a-2026-01\n", ""))

        with pytest.raises(ContractError) as caught:
            read_yaml(path, LLM)

        (problem,) = caught.value.problems
        assert (problem.where, problem.field, problem.found) == (f"{path}:5", "spec.model", "nothing")

    def test_refuses_a_key_given_twice(self, tmp_path):
        """YAML would keep the last one in silence."""
        path = written(tmp_path, LLM_DOCUMENT + "  model: another\n")

        with pytest.raises(ContractError, match=r"document.yaml:12: `spec.model`: found the key twice, expected once"):
            read_yaml(path, LLM)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "found 0 YAML documents, expected exactly one"),
            ("a: 1\n---\nb: 2\n", "found 2 YAML documents, expected exactly one"),
            ("a: [1\n", "document.yaml:2: found"),
            ("a: \x00\n", "expected YAML"),
            ("=", "could not determine a constructor"),
            ("a: !python/object:os.system {}", "could not determine a constructor"),
            ("a: 2026-13-45", "month must be in 1..12"),
            ("? [a, b]\n: 1", "found a list or a mapping as key, expected a name"),
            ("a: &a [*a]", "expected YAML"),
            ("a: " + "9" * 5000, "expected YAML"),
        ],
    )
    def test_says_what_is_wrong_with_the_file_itself(self, tmp_path, text, message):
        with pytest.raises(ContractError, match=message):
            read_yaml(written(tmp_path, text), LLM)

    def test_says_that_a_file_is_missing(self, tmp_path):
        with pytest.raises(ContractError, match=r"nowhere.yaml: found no such file, expected a file"):
            read_yaml(tmp_path / "nowhere.yaml", LLM)

    @example("=")
    @given(st.text(max_size=200))
    def test_turns_any_text_into_a_value_or_a_contract_error(self, tmp_path_factory, text):
        path = written(tmp_path_factory.mktemp("any"), text.replace("\r", ""))

        with pytest.raises(ContractError):
            read_yaml(path, LLM)


class TestReadJsonl:
    def test_names_every_bad_line(self, tmp_path):
        lines = [
            '{"id": "a", "question": "q", "expect": "answer", "must_contain": [["x"]]}',
            '{"id": "b", "question": "", "expect": "refusal"}',
            "",
            "{not json",
        ]
        path = written(tmp_path, "\n".join(lines), "gold.jsonl")

        with pytest.raises(ContractError) as caught:
            read_jsonl(path, GoldRow)

        assert [problem.where for problem in caught.value.problems] == [f"{path}:{line}" for line in (2, 3, 4)]

    def test_refuses_nan(self, tmp_path):
        """Python's JSON reader takes NaN; a figure that is not a number is never let in."""
        pin = '{"digest": "' + "0" * 64 + '"}'
        gates = '[{"metric": "quality", "at_least": NaN}]'
        champion = '[{"metric": "quality", "margin": 0}]'
        text = f'{{"version": 1, "gold_set": {pin}, "gates": {gates}, "champion_gates": {champion}}}'

        with pytest.raises(ContractError, match=r"gates.0.at_least"):
            read_json(written(tmp_path, text, "policy.json"), ReleasePolicy)
