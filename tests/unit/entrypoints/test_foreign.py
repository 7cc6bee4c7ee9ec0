"""Agents written elsewhere are frozen, checked in their own environment, loaded and packaged."""

import contextlib
import os
from pathlib import Path

import pytest

from goldgate.agent.foreign.runtime import ForeignRuntime
from goldgate.contracts.bundle import BundleError
from goldgate.contracts.foreign import ENVIRONMENT_FILE, AgentEnvironment
from goldgate.contracts.prediction import PredictRequest
from goldgate.entrypoints.agents import load_agent
from goldgate.entrypoints.foreign import callable_problems, load_packaged, main
from goldgate.entrypoints.freezing import FrozenBundle, freeze_agent
from goldgate.entrypoints.inspection import gold_problems, tracked
from tests.fakes.agent_folders import LLM
from tests.fakes.foreign_folders import write_endpoint, write_python
from tests.fakes.scripted_endpoint import Answer, ScriptedEndpoint

COMPLETION = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "scripted-1",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "From elsewhere."}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "GOLDGATE_HOME": str(tmp_path / "home"), "MY_KEY": "sk-live-123456"}


def frozen(folder: Path, env: dict[str, str]) -> FrozenBundle:
    return freeze_agent(folder, into=Path(env["GOLDGATE_HOME"]) / "bundles", env=env)


class TestFreezing:
    def test_gives_one_digest_for_files_packages_and_python(self, tmp_path, env):
        one = frozen(write_python(tmp_path / "one"), env)
        same = frozen(write_python(tmp_path / "two"), env)
        older = frozen(write_python(tmp_path / "old", python='pythonVersion: "3.9"\n'), env)
        changed = frozen(write_python(tmp_path / "new", program="def predict(request):\n    return 'x'\n"), env)

        assert one == same
        assert len({one.digest, older.digest, changed.digest}) == 3
        assert (one.agent, one.prompt_id) == ("brought", f"brought@{one.digest[:12]}")

    def test_pins_the_environment_and_leaves_out_what_judges(self, tmp_path, env):
        folder = write_python(tmp_path / "a", python="requirements: pins.txt\n")
        (folder / "pins.txt").write_text(f"six==1.16.0 --hash=sha256:{'0' * 64}\n")
        (folder / "gold.jsonl").write_text("{}\n")

        bundle = frozen(folder, env).path

        written = AgentEnvironment.model_validate_json((bundle / ENVIRONMENT_FILE).read_text())
        assert (written.callable, written.requirements, written.pins) == ("agent:predict", "pins.txt", ["six==1.16.0"])
        assert not (bundle / "gold.jsonl").exists()

    def test_tracks_what_the_agent_is(self, tmp_path, env):
        found = tracked(frozen(write_python(tmp_path / "a", "reports: [usage]\n"), env).path)

        assert found.params["python.callable"] == "agent:predict"
        assert found.params["reports"] == "usage"
        assert list(found.prompts) == ["agent.yaml"]


class TestCallableProblems:
    def test_are_none_for_a_callable_that_can_be_imported(self, tmp_path, env):
        assert callable_problems(frozen(write_python(tmp_path / "a"), env).path, env=env, where=tmp_path) == []

    def test_tell_of_one_that_cannot_without_importing_it_here(self, tmp_path, env):
        """`click` is installed here, and not in the environment of the agent."""
        folder = write_python(tmp_path / "a", program="import click\n\n\ndef predict(request):\n    return ''\n")

        (problem,) = callable_problems(frozen(folder, env).path, env=env, where=folder / "agent.yaml")

        assert problem.field == "spec.python.callable"
        assert (
            problem.found
            == "callable `agent:predict`: importing it raised ModuleNotFoundError: No module named 'click'"
        )

    def test_tell_of_variables_that_are_not_set(self, tmp_path, env):
        folder = write_python(tmp_path / "a", python="envFrom: {KEY: {env: OTHER_KEY}}\n")

        (problem,) = callable_problems(frozen(folder, env).path, env=env, where=folder)

        assert "`OTHER_KEY`" in problem.found

    def test_do_not_check_passages_that_nobody_here_knows(self, tmp_path, env):
        bundle = frozen(write_python(tmp_path / "a"), env)

        assert gold_problems([], bundle=bundle, agent="brought", folder=tmp_path) == []
        assert len(gold_problems([], bundle=bundle, agent="other", folder=tmp_path)) == 1


class TestLoading:
    def test_answers_from_a_process_that_inherits_what_is_declared(self, tmp_path, env, caplog):
        program = """\
        import os

        def predict(request):
            print("my key is", os.environ["KEY"])
            return " ".join(sorted(os.environ))
        """.replace("\n        ", "\n").lstrip()
        python = "envFrom: {KEY: {env: MY_KEY}}\nenv: {MODE: test}\n"
        bundle = frozen(write_python(tmp_path / "a", python=python, program=program), env)

        with caplog.at_level("INFO"), contextlib.closing(load_agent(bundle.path, env=env)) as agent:
            assert agent.warm_up() == []
            response = agent.predict(PredictRequest(question="which?"))

        assert {"KEY", "MODE", "HOME"} <= set(response.answer.split())
        assert not {"MY_KEY", "GOLDGATE_HOME"} & set(response.answer.split())
        assert "sk-live-123456" not in caplog.text
        assert [record.line for record in caplog.records if record.message == "agent.said"] == ["my key is [secret]"]

    def test_leaves_the_bundle_as_it_is(self, tmp_path, env):
        bundle = frozen(write_python(tmp_path / "a"), env)

        for _ in range(2):
            with contextlib.closing(load_agent(bundle.path, env=env)) as agent:
                assert agent.predict(PredictRequest(question="why?")).answer == "WHY?"

    def test_refuses_a_bundle_that_was_changed(self, tmp_path, env):
        bundle = frozen(write_python(tmp_path / "a"), env)
        (bundle.path / "agent.py").write_text("def predict(request):\n    return 'other'\n")

        with pytest.raises(BundleError, match=r"`agent\.py` changed"):
            load_agent(bundle.path, env=env)

    def test_asks_an_endpoint(self, tmp_path, env):
        bundle = frozen(write_endpoint(tmp_path / "e", llm=LLM), env)

        with ScriptedEndpoint(Answer(body=COMPLETION)) as endpoint:
            agent = load_agent(bundle.path, env={**env, "MODEL_URL": endpoint.url})
            assert isinstance(agent, ForeignRuntime)
            response = agent.predict(PredictRequest(question="How?"))
            agent.close()

        assert (response.answer, response.usage.tokens_in, response.error) == ("From elsewhere.", 10, None)
        assert endpoint.requests[0]["messages"] == [{"role": "user", "content": "How?"}]

    def test_in_the_environment_that_mlflow_made_needs_no_other(self, tmp_path, env):
        bundle = frozen(write_python(tmp_path / "a"), env)

        with contextlib.closing(load_packaged(bundle.path, env={})) as agent:
            assert agent.predict(PredictRequest(question="why?")).answer == "WHY?"
        assert not (tmp_path / "home" / "environments").exists()


class TestMain:
    def test_builds_an_environment_ahead_of_time(self, tmp_path, env, capsys):
        bundle = frozen(write_python(tmp_path / "a"), env)

        assert main([str(bundle.path), "--into", str(tmp_path / "baked")], env=env) == 0

        built = Path(capsys.readouterr().out.strip())
        assert built.is_relative_to(tmp_path / "baked")
        with contextlib.closing(load_agent(bundle.path, env={**env, "GOLDGATE_ENVIRONMENTS": str(tmp_path / "baked")})):
            assert not (tmp_path / "home" / "environments").exists()

    def test_says_what_cannot_be_built(self, tmp_path, env, capsys):
        folder = write_python(tmp_path / "a", python='pythonVersion: "3.99"\n')

        assert main([str(folder)], env=env) == 2
        assert "`pythonVersion`" in capsys.readouterr().err
