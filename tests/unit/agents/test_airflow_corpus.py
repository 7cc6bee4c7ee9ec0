"""The corpus of the sample agent."""

import re
from types import ModuleType

import pytest


class TestPlainText:
    @pytest.mark.parametrize(
        ("markup", "plain"),
        [
            ("Set to ``False`` in\nproduction.", "Set to False in production."),
            ("See :ref:`config:api__port` too.", "See [api] port too."),
            ("Read `the guide <https://a.example/b>`__ first.", "Read the guide (https://a.example/b) first."),
            ("|experimental| May change.", "Experimental. May change."),
            (".. note:: Mind\n   the gap.", "Note: Mind the gap."),
            ("Modes:\n\n* ``a``: one\n  more\n* ``b``: two", "Modes:\n* a: one more\n* b: two"),
            (".. code-block:: python\n\n    def f(x): ...", "def f(x): ..."),
            ("**Never** do *that*, but 2 * 3 * 4.", "Never do that, but 2 * 3 * 4."),
            ("", ""),
        ],
    )
    def test_keeps_the_words_and_drops_the_markup(self, corpus_program: ModuleType, markup: str, plain: str):
        assert corpus_program.plain_text(markup) == plain


class TestOption:
    def test_writes_labelled_lines_around_the_description(self, corpus_program: ModuleType):
        reference = {
            "description": "How many.",
            "type": "integer",
            "default": "32",
            "example": "64",
            "version_added": "1.2.0",
            "sensitive": True,
            "version_deprecated": "3.0.0",
            "deprecation_reason": "Nobody\nneeds it.",
        }
        vocabulary = ((re.compile("many"), "count, number"), (re.compile("absent"), "never"))
        option = corpus_program.Option(
            section="Common.io",
            name="Limit",
            reference=reference,
            formerly=(("core", "cap"),),
            vocabulary=vocabulary,
        )

        assert option.chunk() == {
            "id": "common.io.limit",
            "title": "[Common.io] Limit",
            "text": "Option: [Common.io] Limit\n"
            "How many.\n"
            "In other words: count, number\n"
            "Type: integer\n"
            "Default: 32\n"
            "Example: 64\n"
            "Version added: 1.2.0\n"
            "Environment variable: AIRFLOW__COMMON_IO__LIMIT\n"
            "Sensitive: yes; may be read by a command or a secret: "
            "AIRFLOW__COMMON_IO__LIMIT_CMD, AIRFLOW__COMMON_IO__LIMIT_SECRET\n"
            "Formerly: [core] cap\n"
            "Deprecated: since 3.0.0. Nobody needs it.",
        }

    @pytest.mark.parametrize(
        ("reference", "line"),
        [
            ({"default": None}, "Default: none"),
            ({"default": ""}, "Default: (empty)"),
            ({"default": "%%(message)s {{x}}"}, "Default: %(message)s {x}"),
            ({"default": "{{ ti.dag_id }}", "is_template": True}, "Default: {{ ti.dag_id }}"),
        ],
    )
    def test_writes_defaults_as_airflow_reads_them(
        self, corpus_program: ModuleType, reference: dict[str, object], line: str
    ):
        option = corpus_program.Option(section="a", name="b", reference=reference)

        assert line in option.chunk()["text"].splitlines()


class TestUnique:
    def test_keeps_the_first_of_two_options_and_says_so(
        self, corpus_program: ModuleType, capsys: pytest.CaptureFixture[str]
    ):
        core = corpus_program.Option(section="core", name="a", reference={"default": "1"})
        provider = corpus_program.Option(section="CORE", name="A", reference={"default": "2"})

        assert list(corpus_program.unique(iter([core, provider]))) == [core]
        assert "`core.a` is described twice" in capsys.readouterr().err


class TestRenamesIn:
    def test_reads_renames_and_leaves_other_changes(self, corpus_program: ModuleType):
        source = (
            'ConfigChange(config=ConfigParameter("webserver", "port"), renamed_to=ConfigParameter("api", "port"))\n'
            'ConfigChange(config=ConfigParameter("core", "gone"), was_removed=True)\n'
            'ConfigChange(config=ConfigParameter("core", "same"), renamed_to=ConfigParameter("core", "same"))\n'
        )

        assert corpus_program.renames_in(source) == {("api", "port"): [("webserver", "port")]}


class TestReadVocabulary:
    @pytest.mark.parametrize(
        ("said", "is_meant"),
        [("a DAG", True), ("max_dags_kept", True), ("dagger", False), ("The api server", True), ("api_server", True)],
    )
    def test_finds_terms_as_whole_words(
        self, corpus_program: ModuleType, tmp_path_factory: pytest.TempPathFactory, said: str, is_meant: bool
    ):
        file = tmp_path_factory.mktemp("vocabulary") / "vocabulary.yaml"
        file.write_text("- {term: dag, words: x}\n- {term: api server, words: y}\n", encoding="utf-8")

        found = [words for term, words in corpus_program.read_vocabulary(file) if term.search(said)]

        assert bool(found) is is_meant


class TestBuiltCorpus:
    def test_names_every_passage_once(self, corpus_lines: list[dict[str, str]], chunks: dict[str, str]):
        assert len(corpus_lines) == len(chunks)
        assert all(re.fullmatch(r"[a-z0-9_.]+\.[a-z0-9_]+", chunk) for chunk in chunks)

    def test_holds_core_and_providers(self, chunks: dict[str, str]):
        assert len(chunks) > 300
        assert {"core.parallelism", "kubernetes_executor.namespace", "standard.venv_install_method"} <= chunks.keys()

    def test_holds_every_option_of_the_installed_reference(self, corpus_program: ModuleType, chunks: dict[str, str]):
        reference = corpus_program.core_reference(corpus_program.installed_airflow())
        options = {f"{section}.{name}" for section, content in reference.items() for name in content["options"]}

        assert options <= chunks.keys()

    def test_tells_type_default_and_variable_of_every_option(self, chunks: dict[str, str]):
        for chunk, text in chunks.items():
            labels = {line.partition(":")[0] for line in text.splitlines()}
            assert {"Option", "Type", "Default", "Environment variable"} <= labels, chunk

    def test_leaves_no_markup_behind(self, chunks: dict[str, str]):
        prose = {chunk: text.partition("\nType: ")[0] for chunk, text in chunks.items()}

        assert [chunk for chunk, text in prose.items() if re.search(r"``|:ref:|\.\. \w+::|`_", text)] == []

    def test_knows_former_names(self, chunks: dict[str, str]):
        assert "Formerly: [webserver] web_server_port" in chunks["api.port"].splitlines()
