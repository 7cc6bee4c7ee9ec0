"""What is generated into the repository is what would be generated now."""

import re
from pathlib import Path

import pytest

from goldgate.entrypoints import schemas

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([CHECKOUT / "README.md", *(CHECKOUT / "include" / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\((?!https?://|#|mailto:)([^)#]+)(?:#[^)]*)?\)")


class TestSchemas:
    def test_are_current(self):
        assert schemas.stale_in(schemas.FOLDER) == []

    def test_tell_which_are_stale(self, tmp_path):
        schemas.write_to(tmp_path)
        (tmp_path / "LLM.json").write_text("{}")
        (tmp_path / "Gone.json").write_text("{}")
        (tmp_path / "Task.json").unlink()

        assert schemas.stale_in(tmp_path) == ["Gone.json", "LLM.json", "Task.json"]
        assert schemas.write_to(tmp_path) == ["Gone.json", "LLM.json", "Task.json"]
        assert schemas.stale_in(tmp_path) == []


class TestLinks:
    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
    def test_lead_to_files_that_exist(self, document):
        targets = LINK.findall(document.read_text(encoding="utf-8"))

        assert [target for target in targets if not (document.parent / target).exists()] == []
