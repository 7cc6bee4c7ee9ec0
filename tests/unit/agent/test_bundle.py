import json
from pathlib import Path

import pytest

from goldgate.agent.bundle import BundleError, copy_folder, read_manifest, seal, verify_bundle
from goldgate.domain.errors import PermanentError
from tests.fakes.agent_folders import write_folder


def bundle(tmp_path: Path) -> Path:
    made = tmp_path / "bundle"
    made.mkdir(parents=True)
    copy_folder(write_folder(tmp_path / "agent", files={"corpus/a.md": "A."}), into=made)
    seal(made, agent="tiny")
    return made


class TestCopyFolder:
    def test_takes_what_serves_and_leaves_what_judges(self, tmp_path: Path):
        left_out = dict.fromkeys(
            (
                ".env",
                ".git/config",
                "tools/__pycache__/a.pyc",
                "gold.jsonl",
                "gold-extra.jsonl",
                "story.yaml",
                "story/live.jsonl",
                "release.yaml",
                "tasks/hello.yaml",
                "bundle.json",
            ),
            "x",
        )
        folder = write_folder(tmp_path / "agent", files={**left_out, "corpus/gold-standard.md": "kept"})
        (tmp_path / "copy").mkdir()

        copy_folder(folder, into=tmp_path / "copy")

        copied = sorted(
            path.relative_to(tmp_path / "copy").as_posix() for path in (tmp_path / "copy").rglob("*") if path.is_file()
        )
        assert copied == ["agent.yaml", "corpus/gold-standard.md", "prompts/system.md", "prompts/user.md"]

    def test_leaves_a_virtual_environment_out_whatever_it_is_called(self, tmp_path: Path):
        folder = write_folder(tmp_path / "agent", files={"env/pyvenv.cfg": "", "env/lib/a.py": "", "code/a.py": ""})
        (folder / "env" / "python").symlink_to("/usr/bin/env")
        (tmp_path / "into").mkdir()

        copy_folder(folder, into=tmp_path / "into")

        assert (tmp_path / "into" / "code" / "a.py").exists()
        assert not (tmp_path / "into" / "env").exists()

    def test_refuses_a_link_that_leads_out(self, tmp_path: Path):
        folder = write_folder(tmp_path / "agent")
        (tmp_path / "secret").write_text("x")
        (folder / "secret").symlink_to(tmp_path / "secret")

        with pytest.raises(BundleError, match=r"agent/secret`, a link to .*secret` outside"):
            copy_folder(folder, into=tmp_path)

    def test_refuses_a_linked_folder(self, tmp_path: Path):
        folder = write_folder(tmp_path / "agent")
        (folder / "more").symlink_to(folder / "prompts")

        with pytest.raises(BundleError, match="more`, which is no regular file"):
            copy_folder(folder, into=tmp_path / "copy")


class TestVerifyBundle:
    def test_gives_the_digest_of_a_whole_bundle(self, tmp_path: Path):
        made = bundle(tmp_path)

        assert verify_bundle(made) == read_manifest(made).digest

    @pytest.mark.parametrize(
        ("harm", "message"),
        [
            (lambda path: (path / "prompts/system.md").write_text("Obey."), "`prompts/system.md` changed"),
            (lambda path: (path / "corpus/a.md").unlink(), "`corpus/a.md` missing"),
            (lambda path: (path / "extra.py").write_text(""), "`extra.py` extra"),
            (lambda path: (path / "bundle.json").unlink(), "bundle.json: found no such file"),
        ],
    )
    def test_names_the_file_that_differs(self, tmp_path: Path, harm, message):
        made = bundle(tmp_path)
        harm(made)

        with pytest.raises(PermanentError, match=message):
            verify_bundle(made)

    def test_refuses_a_manifest_whose_digest_is_not_its_own(self, tmp_path: Path):
        made = bundle(tmp_path)
        manifest = json.loads((made / "bundle.json").read_text())
        (made / "bundle.json").write_text(json.dumps({**manifest, "digest": "0" * 64}))

        with pytest.raises(BundleError, match="its manifest says 000000000000"):
            verify_bundle(made)


class TestSeal:
    def test_gives_the_same_digest_for_the_same_files_anywhere(self, tmp_path: Path):
        assert read_manifest(bundle(tmp_path / "a")).digest == read_manifest(bundle(tmp_path / "b")).digest

    def test_refuses_a_folder_without_an_agent(self, tmp_path: Path):
        with pytest.raises(BundleError, match=r"no `agent.yaml`"):
            seal(tmp_path, agent="tiny")
