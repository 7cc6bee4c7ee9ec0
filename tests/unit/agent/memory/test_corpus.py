import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.agent.folder import read_agent
from goldgate.agent.memory.corpus import (
    LARGEST_CHUNK_TOKENS,
    BuilderError,
    build_corpus,
    read_chunks,
    split_text,
    write_corpus,
)
from goldgate.agent.memory.tokens import count_tokens
from goldgate.contracts.base import ContractError
from tests.fakes.agent_folders import LLM, agent, write_folder

FILES = 'retrieval: {mode: lexical}\ncorpus: {files: ["corpus/*"]}\n'
BUILDER = "retrieval: {mode: lexical}\ncorpus: {builder: build.py}\n"

PAGE = """\
Before all.

# Guide
Intro.

## Set up
First.

```sh
# not a heading
```

## Set up
Again.
"""


def built(folder: Path, spec: str, files: dict[str, str], env: dict[str, str] | None = None):
    return build_corpus(read_agent(write_folder(folder, LLM, agent(spec), files=files)), env=env or {})


class TestSplitText:
    def test_cuts_at_headings_with_stable_ids(self):
        rows = list(split_text("page", PAGE))

        assert [(row.id, row.title) for row in rows] == [
            ("page", "page"),
            ("page-guide", "Guide"),
            ("page-set-up", "Guide > Set up"),
            ("page-set-up-2", "Guide > Set up"),
        ]
        assert "# not a heading" in rows[2].text

    def test_cuts_long_sections_between_paragraphs(self):
        rows = list(split_text("p", "# A\n" + "\n\n".join(["word " * 30] * 5), budget=80))

        assert [row.id for row in rows] == ["p-a", "p-a-2", "p-a-3"]

    @given(st.text(alphabet="ab #\n", max_size=200))
    def test_gives_ids_that_differ_and_no_empty_chunk(self, text):
        rows = list(split_text("p", text, budget=5))

        assert len({row.id for row in rows}) == len(rows)
        assert all(row.text.strip() for row in rows)

    @given(st.lists(st.text(alphabet="abc ", min_size=1).filter(str.strip), max_size=8))
    def test_loses_no_paragraph(self, paragraphs):
        text = "\n\n".join(paragraphs)

        joined = "\n\n".join(row.text for row in split_text("p", text, budget=400))

        assert joined == "\n\n".join(paragraph.strip() for paragraph in paragraphs)

    @given(st.text(alphabet="ab港. \n", max_size=600), st.integers(1, 30))
    def test_makes_no_chunk_longer_than_the_budget_and_loses_no_letter(self, text, budget):
        rows = list(split_text("p", text, budget=budget))

        assert all(count_tokens(row.text) <= budget for row in rows)
        assert "".join("".join(row.text for row in rows).split()) == "".join(text.split())

    def test_cuts_a_long_paragraph_between_sentences(self):
        sentence = "This is the sentence that is said again and again."

        rows = list(split_text("p", " ".join([sentence] * 30), budget=100))

        assert all(row.text.startswith("This is") and row.text.endswith("again.") for row in rows)
        assert sum(row.text.count(sentence) for row in rows) == 30


class TestBuildCorpus:
    def test_reads_markdown_text_and_json_lines_in_the_order_of_their_names(self, tmp_path: Path):
        row = json.dumps({"id": "x-1", "title": "X", "text": "Ex.", "fields": {"n": 1}})
        rows = built(tmp_path, FILES, {"corpus/a.md": "# Hi\nText.", "corpus/b.txt": "Plain.", "corpus/c.jsonl": row})

        assert [row.id for row in rows] == ["a-hi", "b", "x-1"]

    def test_runs_a_builder_in_the_folder_with_the_given_environment_only(self, tmp_path: Path):
        program = (
            "import json, os, pathlib\n"
            "text = pathlib.Path('data.txt').read_text() + ' '.join(sorted(os.environ))\n"
            "print(json.dumps({'id': 'one', 'title': 'One', 'text': text}))\n"
        )
        rows = built(tmp_path, BUILDER, {"build.py": program, "data.txt": "Data. "}, env={"HOME": "/nowhere"})

        assert [row.text for row in rows] in (["Data. HOME LC_CTYPE"], ["Data. HOME"])

    def test_tells_what_a_failed_builder_wrote(self, tmp_path: Path):
        with pytest.raises(BuilderError, match=r"(?s)build.py` ended with 1; expected 0.*no luck"):
            built(tmp_path, BUILDER, {"build.py": "raise SystemExit('no luck')"})

    def test_tells_the_line_of_output_that_is_no_chunk(self, tmp_path: Path):
        with pytest.raises(ContractError, match=r"build.py:1: found `hello`, expected one JSON object"):
            built(tmp_path, BUILDER, {"build.py": "print('hello')"})

    def test_refuses_a_builder_that_prints_nothing(self, tmp_path: Path):
        with pytest.raises(BuilderError, match="no chunk in the corpus of `tiny`"):
            built(tmp_path, BUILDER, {"build.py": ""})

    def test_splits_a_chunk_that_is_too_long_and_keeps_its_id_for_the_first_part(self, tmp_path: Path):
        long = {"id": "long", "title": "T", "text": "word " * 2_000, "fields": {"n": 1}}
        lines = [json.dumps(long), json.dumps({"id": "short", "text": "x"})]

        rows = built(tmp_path, FILES, {"corpus/c.jsonl": "\n".join(lines)})

        assert [row.id for row in rows] == ["long", "long:2", "long:3", "short"]
        assert all(count_tokens(row.text) <= LARGEST_CHUNK_TOKENS for row in rows)
        assert [(row.title, row.fields) for row in rows[:3]] == [("T", {"n": 1})] * 3
        assert " ".join(row.text for row in rows[:3]).split() == ["word"] * 2_000

    def test_refuses_one_id_for_two_chunks_and_names_both(self, tmp_path: Path):
        lines = '{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}\n'
        with pytest.raises(ContractError, match=r"c.jsonl:2: `id`: found `a` again.*first in .*c.jsonl:1"):
            built(tmp_path, FILES, {"corpus/c.jsonl": lines})

    def test_refuses_an_id_that_could_not_be_cited(self, tmp_path: Path):
        with pytest.raises(ContractError, match=r"c.jsonl:1: `id`: found `'a b'`"):
            built(tmp_path, FILES, {"corpus/c.jsonl": '{"id": "a b", "text": "x"}'})

    def test_refuses_a_kind_of_file_that_it_cannot_read(self, tmp_path: Path):
        with pytest.raises(ContractError, match=r"x.pdf: found `.pdf`, expected `.md`, `.txt` or `.jsonl`"):
            built(tmp_path, FILES, {"corpus/x.pdf": "x"})

    def test_is_read_back_as_it_was_written(self, tmp_path: Path):
        rows = built(tmp_path / "agent", FILES, {"corpus/a.md": PAGE})
        (tmp_path / "corpus.jsonl").write_bytes(write_corpus(rows))

        chunks = read_chunks(tmp_path / "corpus.jsonl")

        assert [(c.id, c.title, c.text) for c in chunks] == [(r.id, r.title, r.text) for r in rows]
