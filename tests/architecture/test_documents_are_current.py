"""What is generated into the repository is what would be generated now, and what is written names what is there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from goldgate.entrypoints import crds, schemas
from goldgate.entrypoints.commands.common import ExitCode
from goldgate.entrypoints.commands.everything import goldgate
from tests.cluster.faults import FAULTS

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCE = CHECKOUT / "include" / "goldgate"
DOCS = CHECKOUT / "include" / "docs"
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


class TestCustomResources:
    def test_are_current(self):
        assert crds.stale_in(crds.FOLDER) == []


class TestLinks:
    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
    def test_lead_to_files_that_exist(self, document):
        targets = LINK.findall(document.read_text(encoding="utf-8"))

        assert [target for target in targets if not (document.parent / target).exists()] == []


def told(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def everything_told() -> str:
    return "\n".join(told(document) for document in DOCUMENTS)


class TestFaultDrill:
    def test_tells_of_every_fault_what_is_expected_of_it(self):
        rows = [
            line.strip("| ").split(" | ") for line in told(DOCS / "fault-drill.md").splitlines() if "| Final" in line
        ]
        expected = [
            [fault.name, fault.expected.phase, str(fault.expected.pods), str(fault.expected.booked)] for fault in FAULTS
        ]

        assert [row[:4] for row in rows] == expected


class TestReadme:
    def test_leads_to_every_page(self):
        linked = {target.removeprefix("include/docs/") for target in LINK.findall(told(CHECKOUT / "README.md"))}

        assert {page.name for page in DOCS.glob("*.md")} - linked == set()


class TestCommands:
    WORDS = re.compile(r"(?:`|\$ |\.venv/bin/|\| |Next: )goldgate ([a-z]+)(?: ([a-z]+))?")

    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
    def test_that_are_named_are_there(self, document):
        named = {(group, word) for group, word in self.WORDS.findall(told(document))}

        assert [words for words in sorted(named) if not self.is_there(*words)] == []

    @staticmethod
    def is_there(group: str, word: str) -> bool:
        found = goldgate.commands.get(group)
        return found is not None and (not word or not isinstance(found, click.Group) or word in found.commands)


class TestExitCodes:
    @pytest.mark.parametrize("text", [goldgate.help or "", told(CHECKOUT / "README.md")], ids=["help", "README"])
    def test_are_all_told(self, text):
        sentence = text[text.index("Exit codes:") :][:400]

        assert [code.name for code in ExitCode if not re.search(rf"\b{code.value}\s", sentence)] == []


class TestProgramsAndFiles:
    NAMED = re.compile(r"`(?:[^`\n]* )?((?:benchmarks|tests|include|dags|plugins)/[\w./-]+\.\w+)[^`\n]*`")
    MODULES = re.compile(r"python -m (goldgate(?:\.\w+)+)")

    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
    def test_that_are_named_are_there(self, document):
        files = [CHECKOUT / name for name in self.NAMED.findall(told(document))]
        modules = [SOURCE.parent / f"{name.replace('.', '/')}.py" for name in self.MODULES.findall(told(document))]

        assert [str(path) for path in (*files, *modules) if not path.exists()] == []


class TestReasonsOfARun:
    WORD = re.compile(r"(?:[A-Z]+[a-z]+)+")
    TELLERS = frozenset({"Happening", "fail", "step", "note", "_happened"})

    def test_stand_in_the_page_of_task_runs(self):
        """Whoever reads `goldgate task events` finds there what each line means."""
        page = told(DOCS / "task-runs.md")
        reasons = {reason for path in self.machines() for reason in self.given_in(path)}

        assert {"LLMFinalAnswer", "ToolCallsPending", "TakenUp", "ValidationFailed"} <= reasons
        assert sorted(reason for reason in reasons if f"`{reason}`" not in page) == []

    @staticmethod
    def machines() -> Iterator[Path]:
        yield from (SOURCE / "domain" / "runs").glob("*.py")
        yield from (SOURCE / "agent").glob("*.py")

    def given_in(self, path: Path) -> Iterator[str]:
        for node in ast.walk(ast.parse(told(path))):
            match node:
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in self.TELLERS:
                    values = [*node.args, *(each.value for each in node.keywords if each.arg == "reason")]
                case ast.Assign(targets=[ast.Name(id="reason")], value=ast.IfExp(body=body, orelse=orelse)):
                    values = [body, orelse]
                case _:
                    continue
            constants = [each.value for each in values if isinstance(each, ast.Constant)]
            yield from (each for each in constants if isinstance(each, str) and self.WORD.fullmatch(each))


class TestTheHomeFolder:
    FOLDER = re.compile(r"home / \"([a-z.-]+)\"")

    def test_is_told_whole(self):
        page = told(DOCS / "architecture.md")
        folders = {name for path in SOURCE.rglob("*.py") for name in self.FOLDER.findall(told(path))}

        assert "taskruns" in folders
        assert sorted(name for name in folders if f"`{name}/" not in page and f"`{name}`" not in page) == []


class TestSettings:
    VARIABLE = re.compile(r"\bGOLDGATE_[A-Z]+(?:_[A-Z]+)*")
    OWN = frozenset({"GOLDGATE_STACK"})
    """Set by us for our own processes."""
    MADE = ("GOLDGATE_STANDIN_", "GOLDGATE_ROUTER_CALLER_", "GOLDGATE_ROUTER_AGENT_")
    """Beginnings, to which a name is added."""

    def test_stand_in_one_table(self):
        """Those with a made name by their beginning."""
        files = [path for root in (SOURCE, CHECKOUT / "plugins") for path in root.rglob("*.py")]
        read = {name for path in files for name in self.VARIABLE.findall(told(path))} - self.OWN
        known = {next((begin for begin in self.MADE if name.startswith(begin)), name) for name in read}
        page = told(DOCS / "architecture.md")
        table = page[page.index("## Settings") :]

        assert {"GOLDGATE_HOME", "GOLDGATE_KUBERNETES_CONN_ID"} <= known
        absent = [name for name in known if not re.search(name if name.endswith("_") else rf"{name}(?![A-Z])", table)]
        assert sorted(absent) == []

    def test_that_are_told_are_read(self):
        roots = (SOURCE, CHECKOUT / "plugins", CHECKOUT / "tests" / "cluster")
        source = "\n".join(told(path) for root in roots for path in root.rglob("*.py"))
        known = set(self.VARIABLE.findall(source))

        unread = set(self.VARIABLE.findall(everything_told())) - known
        assert sorted(name for name in unread if not name.startswith(self.MADE)) == []


class TestGlossary:
    WORD = re.compile(r"^\| \*\*(.+?)\*\*", re.MULTILINE)

    def test_is_in_order_with_each_word_once(self):
        words = [word.lower().replace("-", " ") for word in self.WORD.findall(told(DOCS / "glossary.md"))]

        assert len(words) > 50
        assert words == sorted(set(words))
