"""Only a builder that answers is believed, the same inputs are built once, and a failure says why."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from goldgate.adapters.container_images.images import ContainerImages
from goldgate.adapters.container_images.orders import DEFAULT_BASE, Base, order_of
from goldgate.adapters.container_images.programs import Ran, digest_in, run_program
from goldgate.contracts.release import ImageBuilt, ImageUnavailable
from goldgate.domain.errors import PermanentError, TransientError
from tests.fakes.scripted_programs import ScriptedPrograms
from tests.waiting import until

WORKS = Ran(code=0, output="")
DIGEST = Ran(code=0, output=f"sha256:{'1' * 64}\n")
BUILDAH = {"buildah images": WORKS, "buildah build": WORKS, "buildah inspect": DIGEST}

NO_BASE = Base(name="scratch", digest=None, labels={})
BARE = {"GOLDGATE_IMAGE_BASE": "scratch"}
PINNED = f"python@sha256:{'2' * 64}"


class Bench:
    """A context with a Dockerfile that lets in one folder and one file."""

    def __init__(self, folder: Path, programs: ScriptedPrograms, *, env: dict[str, str] | None = None) -> None:
        self.context = folder / "context"
        for name in ("code/a.py", "code/__pycache__/a.pyc", "lock.txt", "agents/secret.md"):
            path = self.context / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        self.dockerfile = self.context / "Dockerfile"
        self.dockerfile.write_text("ARG BASE\nFROM ${BASE}\nCOPY code /code\nCOPY lock.txt /lock.txt\n")
        self.ignore("*\n!code\n!lock.txt\n**/__pycache__\n")
        self.programs = programs
        self.images = ContainerImages(folder / "records", env=BARE if env is None else env, run=programs)

    def ignore(self, text: str) -> None:
        (self.context / "Dockerfile.dockerignore").write_text(text)

    def build(self, **labels: str) -> ImageBuilt | ImageUnavailable:
        return self.images.build(context=self.context, dockerfile=self.dockerfile, name="x", labels=labels)


class TestChoice:
    def test_does_not_believe_a_client_without_an_engine(self, tmp_path: Path):
        programs = ScriptedPrograms({"docker version": Ran(code=1, output="Client: 28\nCannot connect to the daemon")})

        image = Bench(tmp_path, programs).build()

        assert image == ImageUnavailable(
            reason="no container builder works here: buildah: not installed; podman: not installed; "
            "docker: Cannot connect to the daemon; install buildah, podman or docker"
        )
        assert programs.builds() == []

    def test_takes_the_first_that_answers(self, tmp_path: Path):
        programs = ScriptedPrograms(
            {"podman info": WORKS, "podman build": WORKS, "podman image inspect": DIGEST, "docker version": WORKS}
        )

        image = Bench(tmp_path, programs).build()

        assert isinstance(image, ImageBuilt)
        assert (image.builder, image.digest, image.reused) == ("podman", "sha256:" + "1" * 64, False)


class TestBuild:
    def test_passes_base_labels_and_secret(self, tmp_path: Path):
        programs = ScriptedPrograms(BUILDAH)
        pip_conf = tmp_path / "pip.conf"
        pip_conf.touch()
        env = {
            "GOLDGATE_IMAGE_BASE": "base@sha256:2",
            "GOLDGATE_IMAGE_PIP_CONF": str(pip_conf),
            "STORAGE_DRIVER": "overlay",
        }

        Bench(tmp_path, programs, env=env).build(title="t")

        (command,) = programs.builds()
        assert "--build-arg=BASE=base@sha256:2" in command
        assert "--label=title=t" in command
        assert f"--secret=id=pip.conf,src={pip_conf}" in command
        assert programs.environments[0]["STORAGE_DRIVER"] == "overlay"

    @pytest.mark.parametrize("name", ["not-there.conf", "a,b.conf"])
    def test_does_not_begin_without_the_secret_that_is_named(self, tmp_path: Path, name: str):
        programs = ScriptedPrograms(BUILDAH)
        (tmp_path / "a,b.conf").touch()

        with pytest.raises(PermanentError, match="GOLDGATE_IMAGE_PIP_CONF"):
            Bench(tmp_path, programs, env={**BARE, "GOLDGATE_IMAGE_PIP_CONF": str(tmp_path / name)}).build()

        assert programs.builds() == []

    def test_sees_what_was_named_though_it_changes_meanwhile(self, tmp_path: Path):
        """The name of an image tells its inputs: somebody who saves a file at that moment does not change them."""
        bench = Bench(tmp_path, ScriptedPrograms({}))
        named = order_of(bench.context, bench.dockerfile, name="x", labels={}, base=NO_BASE, how=())
        for changed in (bench.context / "code" / "a.py", bench.dockerfile):
            changed.write_text("changed")

        laid_out = named.lay_out(tmp_path / "order")

        assert (laid_out.context / "code" / "a.py").read_text() == "code/a.py"
        assert laid_out.dockerfile.read_text().startswith("ARG BASE")

    def test_begins_from_the_public_base_if_none_is_named(self, tmp_path: Path):
        programs = ScriptedPrograms(BUILDAH)

        Bench(tmp_path, programs, env={}).build()

        assert f"--build-arg=BASE={DEFAULT_BASE}" in programs.builds()[0]

    @pytest.mark.parametrize(("reuses_layers", "option"), [(False, "--layers=false"), (True, "--layers=true")])
    def test_takes_layers_of_earlier_builds_only_if_told_so(self, tmp_path: Path, reuses_layers: bool, option: str):
        bench = Bench(tmp_path, ScriptedPrograms(BUILDAH))
        bench.images = ContainerImages(tmp_path / "records", env=BARE, run=bench.programs, reuses_layers=reuses_layers)

        bench.build()

        assert option in bench.programs.builds()[0]

    def test_tells_the_last_lines_of_a_failure_without_logins(self, tmp_path: Path):
        output = "\n".join([f"line {number}" for number in range(20)] + ["Error: https://me:pw@mirror/simple: no host"])
        programs = ScriptedPrograms({**BUILDAH, "buildah build": Ran(code=1, output=output)})

        image = Bench(tmp_path, programs).build()

        assert isinstance(image, ImageUnavailable)
        assert image.reason.endswith("line 19 | Error: https://***@mirror/simple: no host")
        assert "line 3" not in image.reason
        assert "pw" not in image.reason

    @pytest.mark.parametrize("code", [-15, -9, 124, 137])
    def test_takes_a_build_that_was_cut_short_as_no_answer(self, tmp_path: Path, code: int):
        """Killed, by a signal to it or to its step, or too slow: the next try may succeed."""
        cut_short = Ran(code=code, output="STEP 3/9")
        bench = Bench(tmp_path, ScriptedPrograms({**BUILDAH, "buildah build": [cut_short, WORKS]}))

        with pytest.raises(TransientError, match="Build again"):
            bench.build()

        assert isinstance(bench.build(), ImageBuilt)

    def test_does_not_trust_a_build_that_left_no_image(self, tmp_path: Path):
        programs = ScriptedPrograms({**BUILDAH, "buildah inspect": Ran(code=0, output="")})

        assert isinstance(Bench(tmp_path, programs).build(), ImageUnavailable)


class TestBase:
    """What an image is built on is told by its labels, and counts among its inputs."""

    def test_is_told_by_name_and_digest(self, tmp_path: Path):
        programs = ScriptedPrograms(BUILDAH)

        Bench(tmp_path, programs, env={"GOLDGATE_IMAGE_BASE": "python:3"}).build()

        (command,) = programs.builds()
        assert "--label=org.opencontainers.image.base.name=python:3" in command
        assert f"--label=org.opencontainers.image.base.digest=sha256:{'1' * 64}" in command

    def test_is_asked_of_nobody_if_it_is_pinned(self, tmp_path: Path):
        programs = ScriptedPrograms(BUILDAH)

        Bench(tmp_path, programs, env={"GOLDGATE_IMAGE_BASE": PINNED}).build()

        assert f"--label=org.opencontainers.image.base.digest=sha256:{'2' * 64}" in programs.builds()[0]
        assert not [command for command in programs.asked if "pull" in command]

    def test_is_pulled_if_it_is_not_there(self, tmp_path: Path):
        gone = Ran(code=1, output="no such image")
        programs = ScriptedPrograms({**BUILDAH, "buildah inspect": [gone, DIGEST, DIGEST], "buildah pull": WORKS})

        image = Bench(tmp_path, programs, env={"GOLDGATE_IMAGE_BASE": "python:3"}).build()

        assert isinstance(image, ImageBuilt)
        assert ["buildah", "pull", "--quiet", "python:3"] in programs.asked

    def test_that_cannot_be_had_is_told(self, tmp_path: Path):
        gone = Ran(code=1, output="no such image")
        programs = ScriptedPrograms(
            {**BUILDAH, "buildah inspect": gone, "buildah pull": Ran(code=125, output="no such host")}
        )

        image = Bench(tmp_path, programs, env={"GOLDGATE_IMAGE_BASE": "python:3"}).build()

        assert image == ImageUnavailable(reason="buildah has no base `python:3`, and cannot pull it: no such host")
        assert programs.builds() == []

    def test_is_waited_for_again_if_the_pull_was_cut_short(self, tmp_path: Path):
        gone = Ran(code=1, output="no such image")
        programs = ScriptedPrograms({**BUILDAH, "buildah inspect": gone, "buildah pull": Ran(code=124, output="")})

        with pytest.raises(TransientError, match="Build again"):
            Bench(tmp_path, programs, env={"GOLDGATE_IMAGE_BASE": "python:3"}).build()

    def test_is_built_on_anew_when_its_tag_moved(self, tmp_path: Path):
        moved = Ran(code=0, output=f"sha256:{'3' * 64}\n")
        programs = ScriptedPrograms({**BUILDAH, "buildah inspect": [DIGEST, DIGEST, moved, DIGEST]})
        bench = Bench(tmp_path, programs, env={"GOLDGATE_IMAGE_BASE": "python:3"})
        bench.build()

        bench.build()

        assert len(programs.builds()) == 2


class TestReuse:
    def test_builds_the_same_inputs_once(self, tmp_path: Path):
        bench = Bench(tmp_path, ScriptedPrograms(BUILDAH))

        first, second = bench.build(), bench.build()

        assert isinstance(first, ImageBuilt)
        assert second == first.model_copy(update={"reused": True})
        assert len(bench.programs.builds()) == 1

    def test_does_not_look_at_what_the_image_does_not_hold(self, tmp_path: Path):
        bench = Bench(tmp_path, ScriptedPrograms(BUILDAH))
        bench.build()
        (bench.context / "agents" / "secret.md").write_text("changed")
        (bench.context / "code" / "__pycache__" / "a.pyc").write_text("changed")

        bench.build()

        assert len(bench.programs.builds()) == 1

    @pytest.mark.parametrize("changed", ["code/a.py", "code/new.py", "lock.txt", "Dockerfile"])
    def test_builds_again_when_an_input_changed(self, tmp_path: Path, changed: str):
        bench = Bench(tmp_path, ScriptedPrograms(BUILDAH))
        bench.build()
        (bench.context / changed).write_text("FROM scratch\n")

        assert isinstance(image := bench.build(), ImageBuilt)
        assert not image.reused
        assert len({command[-4] for command in bench.programs.builds()}) == 2

    def test_builds_again_when_a_label_changed(self, tmp_path: Path):
        bench = Bench(tmp_path, ScriptedPrograms(BUILDAH))
        bench.build(title="a")
        bench.build(title="b")

        assert len(bench.programs.builds()) == 2

    def test_builds_again_when_the_image_is_gone(self, tmp_path: Path):
        gone = Ran(code=1, output="no such image")
        bench = Bench(tmp_path, ScriptedPrograms({**BUILDAH, "buildah inspect": [DIGEST, gone, DIGEST]}))
        bench.build()

        assert isinstance(image := bench.build(), ImageBuilt)
        assert not image.reused

    def test_builds_again_when_its_record_is_damaged(self, tmp_path: Path):
        bench = Bench(tmp_path, ScriptedPrograms(BUILDAH))
        bench.build()
        for record in (tmp_path / "records").iterdir():
            record.write_text("{")

        assert isinstance(image := bench.build(), ImageBuilt)
        assert not image.reused


class TestIgnoreFile:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "code\n",
            "*\ncode\n",
            "*\n!nowhere\n",
            "!code\n*\n",
            "*\n!\n",
            "*\n!.\n",
            "*\n!../context\n",
            "*\n!/etc/hostname\n",
        ],
    )
    def test_must_name_what_the_image_holds(self, tmp_path: Path, text: str):
        bench = Bench(tmp_path, ScriptedPrograms(BUILDAH))
        bench.ignore(text)

        with pytest.raises(PermanentError, match=r"Dockerfile\.dockerignore"):
            bench.build()

    def test_must_be_there(self, tmp_path: Path):
        bench = Bench(tmp_path, ScriptedPrograms(BUILDAH))
        (bench.context / "Dockerfile.dockerignore").unlink()

        with pytest.raises(PermanentError, match="Found no"):
            bench.build()

    @pytest.mark.parametrize("name", ["code", "code/linked.py", "lock.txt"])
    def test_lets_no_link_in(self, tmp_path: Path, name: str):
        """What it leads to was never named, and may be anything that the user can read."""
        bench = Bench(tmp_path, ScriptedPrograms(BUILDAH))
        link = bench.context / name
        if link.exists():
            link.rename(tmp_path / "moved")
        link.symlink_to(tmp_path / "moved" if (tmp_path / "moved").exists() else bench.context / "agents" / "secret.md")

        with pytest.raises(PermanentError, match="Found the link"):
            bench.build()

    def test_lets_no_hidden_file_in(self, tmp_path: Path):
        bench = Bench(tmp_path, ScriptedPrograms({}))
        for name in (".env", ".idea/workspace.xml", "sub/.a.py.swp", "sub/b.py"):
            path = bench.context / "code" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)

        order = order_of(bench.context, bench.dockerfile, name="x", labels={}, base=NO_BASE, how=())

        assert sorted(order.files) == ["code/a.py", "code/sub/b.py", "lock.txt"]

    @pytest.mark.parametrize("name", ["agent", "router"])
    def test_of_our_images_lets_no_agent_in(self, name: str):
        lines = (
            (Path(__file__).parents[3] / "include" / "images" / name / "Dockerfile.dockerignore")
            .read_text()
            .splitlines()
        )

        assert lines[:4] == ["*", "!goldgate", "!images/sbom.py", f"!images/{name}/requirements.txt"]
        assert not any("agents" in line for line in lines)


class TestRunProgram:
    def test_tells_that_a_program_is_not_there(self):
        assert run_program(["no-such-program-here"], {}, 5).output == "not installed"

    def test_ends_a_program_that_takes_too_long(self):
        assert run_program(["sleep", "60"], dict(os.environ), 0.05).code == 124

    def test_ends_with_a_program_all_that_it_started(self, tmp_path: Path):
        """A build that took too long must not go on behind our back: it is told, and may clear away before it ends."""
        script = "trap 'kill $!; wait $!; echo $? > cleared; exit 1' TERM; sleep 600 & touch began; wait"

        ran = run_program(["sh", "-c", f"cd {tmp_path}; {script}"], dict(os.environ), 2)

        assert ran.code == 124
        assert (tmp_path / "began").exists()
        assert (tmp_path / "cleared").read_text().strip() == "143"

    def test_ends_what_does_not_want_to(self, tmp_path: Path):
        script = f"trap '' TERM; echo $$ > {tmp_path}/pid; while true; do sleep 0.1; done"

        assert run_program(["sh", "-c", script], dict(os.environ), 2, to_end_s=0.2).code == 124

        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)

    def test_ends_it_when_whoever_waits_is_ended(self, tmp_path: Path):
        """Airflow ends a task by an exception in its thread."""
        waits = (
            f"open({str(tmp_path / 'pid')!r}, 'w').write(str(__import__('os').getpid())); __import__('time').sleep(600)"
        )
        waiting = (
            "import os, signal, sys\n"
            "from goldgate.adapters.container_images.programs import run_program\n"
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
            f"run_program([sys.executable, '-c', {waits!r}], dict(os.environ), 600)\n"
        )
        process = subprocess.Popen([sys.executable, "-c", waiting])
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")

        process.terminate()

        assert process.wait(60) == 7
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)

    def test_takes_both_outputs(self):
        ran = run_program(["sh", "-c", "echo out; echo err >&2; exit 3"], dict(os.environ), 5)

        assert (ran.code, ran.output) == (3, "out\nerr\n")


class TestDigestIn:
    def test_is_found_beside_warnings(self):
        digest = f"sha256:{'a' * 64}"

        assert digest_in(f'time="now" level=warning msg="no such file"\n{digest}\n') == digest

    @pytest.mark.parametrize("output", ["", "sha256:short", f"sha256:{'a' * 65}", f"x sha256:{'a' * 64}", "<none>"])
    def test_is_no_other_text(self, output: str):
        assert digest_in(output) is None


@pytest.mark.slow
class TestRealBuilder:
    def test_builds_the_same_image_for_the_same_inputs_wherever_they_lie(self, tmp_path: Path):
        images = [_build_for_real(tmp_path / where, tmp_path / where / "records") for where in ("here", "there")]

        if isinstance(images[0], ImageUnavailable):
            pytest.skip(images[0].reason)
        assert isinstance(images[1], ImageBuilt)
        assert [image.reused for image in images if isinstance(image, ImageBuilt)] == [False, False]
        if images[0].builder != "docker":  # its images hold the time of the build
            assert images[0].digest == images[1].digest
        assert isinstance(again := _build_for_real(tmp_path / "here", tmp_path / "here" / "records"), ImageBuilt)
        assert again.reused

    def test_says_why_it_could_not(self, tmp_path: Path):
        image = _build_for_real(tmp_path, tmp_path / "records", dockerfile="FROM scratch\nCOPY nowhere /\n")

        assert isinstance(image, ImageUnavailable)
        if "no container builder" in image.reason:
            pytest.skip(image.reason)
        assert "nowhere" in image.reason


def _build_for_real(folder: Path, records: Path, *, dockerfile: str | None = None) -> ImageBuilt | ImageUnavailable:
    bench = Bench(folder, ScriptedPrograms({}))
    bench.dockerfile.write_text(dockerfile or "FROM scratch\nCOPY code /code\nCOPY lock.txt /lock.txt\n")
    images = ContainerImages(records, env={**os.environ, **BARE})
    return images.build(context=bench.context, dockerfile=bench.dockerfile, name="goldgate-test", labels={"a": "b"})
