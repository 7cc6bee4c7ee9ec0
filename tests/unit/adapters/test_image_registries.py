"""An image that is pushed is known by the digest that the registry knows it by."""

from pathlib import Path

import pytest

from goldgate.adapters.container_images.images import ContainerImages
from goldgate.adapters.container_images.programs import Ran
from goldgate.adapters.container_images.registries import Registry
from goldgate.contracts.release import ImageBuilt, ImageUnavailable
from goldgate.domain.errors import PermanentError, TransientError
from tests.fakes.scripted_programs import ScriptedPrograms

WORKS = Ran(code=0, output="")
LOCAL = f"sha256:{'1' * 64}"
REMOTE = f"sha256:{'2' * 64}"
BUILDAH = {
    "buildah images": WORKS,
    "buildah build": WORKS,
    "buildah inspect": Ran(code=0, output=LOCAL),
    "buildah push": WORKS,
}


def build(folder: Path, programs: ScriptedPrograms, registry: str = "images.example/team"):
    context = folder / "context"
    context.mkdir(exist_ok=True)
    dockerfile = context / "Dockerfile"
    dockerfile.write_text("ARG BASE\nFROM ${BASE}\nCOPY a /a\n")
    (context / "a").write_text("a")
    (context / "Dockerfile.dockerignore").write_text("*\n!a\n")
    env = {"GOLDGATE_IMAGE_BASE": "scratch", "GOLDGATE_IMAGE_REGISTRY": registry}
    images = ContainerImages(folder / "records", env=env, run=programs)
    return images.build(context=context, dockerfile=dockerfile, name="x", labels={})


class TestRegistry:
    @pytest.mark.parametrize(
        ("text", "path", "is_plain"),
        [
            ("images.example", "images.example", False),
            ("images.example/team/", "images.example/team", False),
            ("https://images.example:5000/a/b-c", "images.example:5000/a/b-c", False),
            ("images.example/a__b/c--d.e_f", "images.example/a__b/c--d.e_f", False),
            ("http://10.0.0.1:5055/a", "10.0.0.1:5055/a", True),
        ],
    )
    def test_is_spoken_to_without_tls_only_where_that_is_said(self, text: str, path: str, is_plain: bool):
        assert Registry.parse(text) == Registry(path=path, is_plain=is_plain)

    @pytest.mark.parametrize(
        "text",
        ["me:secret@images.example", "http://me:secret@images.example/a", "A b", "/a", "-x", "x/a..b", "x/a___b"],
    )
    def test_has_no_login_in_its_address(self, text: str):
        with pytest.raises(PermanentError, match="GOLDGATE_IMAGE_REGISTRY") as caught:
            Registry.parse(text)

        assert "secret" not in str(caught.value)


class TestPush:
    def test_tells_where_to_pull_from_by_the_digest_of_the_registry(self, tmp_path: Path):
        """It is another digest than that of the local image, whose layers are not compressed."""
        programs = ScriptedPrograms(BUILDAH, pushed=REMOTE)

        image = build(tmp_path, programs)

        assert isinstance(image, ImageBuilt)
        assert image.pushed == f"images.example/team/x@{REMOTE}"
        (push,) = [command for command in programs.asked if command[1] == "push"]
        assert push[-2:] == [
            image.reference,
            f"docker://images.example/team/{image.reference.removeprefix('localhost/')}",
        ]
        assert "--tls-verify=false" not in push

    def test_takes_plain_http_where_that_is_said(self, tmp_path: Path):
        programs = ScriptedPrograms(BUILDAH, pushed=REMOTE)

        image = build(tmp_path, programs, "http://10.0.0.1:5055/a")

        assert isinstance(image, ImageBuilt)
        assert image.pushed == f"10.0.0.1:5055/a/x@{REMOTE}"
        (push,) = [command for command in programs.asked if command[1] == "push"]
        assert "--tls-verify=false" in push

    def test_happens_again_for_an_image_that_was_built_before(self, tmp_path: Path):
        """The registry may be another one, or have lost it; layers that are there do not move."""
        programs = ScriptedPrograms(BUILDAH, pushed=REMOTE)
        build(tmp_path, programs)

        image = build(tmp_path, programs, "other.example/a")

        assert isinstance(image, ImageBuilt)
        assert (image.reused, image.pushed) == (True, f"other.example/a/x@{REMOTE}")
        assert len(programs.builds()) == 1

    def test_that_fails_is_told_without_logins(self, tmp_path: Path):
        denied = Ran(code=125, output="Error: https://me:pw@images.example/v2/: unauthorized")

        image = build(tmp_path, ScriptedPrograms({**BUILDAH, "buildah push": denied}))

        assert isinstance(image, ImageUnavailable)
        assert "could not be pushed to `images.example/team`" in image.reason
        assert "unauthorized" in image.reason
        assert "pw" not in image.reason

    def test_that_was_cut_short_is_no_answer(self, tmp_path: Path):
        with pytest.raises(TransientError, match="Push again"):
            build(tmp_path, ScriptedPrograms({**BUILDAH, "buildah push": Ran(code=-9, output="")}))

    def test_without_a_digest_is_not_believed(self, tmp_path: Path):
        image = build(tmp_path, ScriptedPrograms(BUILDAH, pushed="sha256:short"))

        assert isinstance(image, ImageUnavailable)
        assert "does not tell its digest" in image.reason

    def test_of_an_engine_asks_it_for_the_digest_in_this_registry(self, tmp_path: Path):
        digests = ["WARNING: a warning", f"other.example/x@sha256:{'3' * 64}", f"images.example/team/x@{REMOTE}", ""]
        programs = ScriptedPrograms(
            {
                "docker version": WORKS,
                "docker build": WORKS,
                "docker image inspect --format {{range": Ran(code=0, output="\n".join(digests)),
                "docker image inspect": Ran(code=0, output=LOCAL),
                "docker tag": WORKS,
                "docker push": WORKS,
            }
        )

        image = build(tmp_path, programs)

        assert isinstance(image, ImageBuilt)
        assert image.pushed == f"images.example/team/x@{REMOTE}"
