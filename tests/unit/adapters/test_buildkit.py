"""A builder elsewhere builds and pushes in one go, and tells the digest that it pushed."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from goldgate.adapters.container_images.buildkit import BuildkitImages
from goldgate.adapters.container_images.programs import Ran
from goldgate.contracts.release import ImageBuilt, ImageUnavailable
from goldgate.domain.errors import PermanentError, TransientError

DIGEST = f"sha256:{'2' * 64}"
TOLD = {"containerimage.digest": DIGEST}
ELSEWHERE = {"BUILDKIT_HOST": "kube-pod://buildkitd", "GOLDGATE_IMAGE_REGISTRY": "images.example/team"}


class ScriptedBuildctl:
    """Ends as it is told to, and writes the metadata that it is told to."""

    def __init__(self, ran: Ran | None = None, *, metadata: object = TOLD) -> None:
        self._ran = ran or Ran(code=0, output="")
        self._metadata = metadata
        self.asked: list[list[str]] = []
        self.saw: dict[str, list[str]] = {}

    def __call__(self, command: Sequence[str], env: Mapping[str, str], within_s: float) -> Ran:
        assert env["BUILDKIT_HOST"]
        assert within_s > 0
        self.asked.append(list(command))
        for which in ("context", "dockerfile"):
            (folder,) = [word for word in command if word.startswith(f"--local={which}=")]
            found = Path(folder.split("=", 2)[2]).rglob("*")
            self.saw[which] = sorted(path.name for path in found if path.is_file())
        Path(command[command.index("--metadata-file") + 1]).write_text(json.dumps(self._metadata))
        return self._ran


def build(folder: Path, buildctl: ScriptedBuildctl, **env: str) -> ImageBuilt | ImageUnavailable:
    context = folder / "context"
    context.mkdir(exist_ok=True)
    for name, text in {
        "Dockerfile": "ARG BASE\nFROM ${BASE}\nCOPY a /a\n",
        "Dockerfile.dockerignore": "*\n!a\n",
        "a": "a",
        "secret": "s",
    }.items():
        (context / name).write_text(text)
    images = BuildkitImages(env={**ELSEWHERE, **env}, run=buildctl)
    return images.build(context=context, dockerfile=context / "Dockerfile", name="x", labels={"title": "t"})


class TestBuildkitImages:
    def test_tells_what_was_pushed_by_its_digest(self, tmp_path: Path):
        image = build(tmp_path, ScriptedBuildctl())

        assert isinstance(image, ImageBuilt)
        assert (image.builder, image.digest, image.pushed) == ("buildkit", DIGEST, f"images.example/team/x@{DIGEST}")
        assert image.reference.startswith("images.example/team/x:")

    def test_passes_base_labels_secret_and_the_time_of_the_epoch(self, tmp_path: Path):
        buildctl = ScriptedBuildctl()
        pip_conf = tmp_path / "pip.conf"
        pip_conf.touch()

        build(tmp_path, buildctl, GOLDGATE_IMAGE_BASE=f"base@{DIGEST}", GOLDGATE_IMAGE_PIP_CONF=str(pip_conf))

        (command,) = buildctl.asked
        assert f"--opt=build-arg:BASE=base@{DIGEST}" in command
        assert f"--opt=label:org.opencontainers.image.base.digest={DIGEST}" in command
        assert {"--opt=label:title=t", f"--secret=id=pip.conf,src={pip_conf}"} <= set(command)
        assert "--opt=build-arg:SOURCE_DATE_EPOCH=0" in command
        (output,) = [word for word in command if word.startswith("--output=")]
        assert {"push=true", "rewrite-timestamp=true"} <= set(output.split(","))
        assert "registry.insecure=true" not in output

    def test_sends_only_what_the_image_may_hold(self, tmp_path: Path):
        buildctl = ScriptedBuildctl()

        build(tmp_path, buildctl)

        assert buildctl.saw == {"context": ["a"], "dockerfile": ["Dockerfile"]}

    def test_pushes_by_plain_http_where_that_is_said(self, tmp_path: Path):
        buildctl = ScriptedBuildctl()

        build(tmp_path, buildctl, GOLDGATE_IMAGE_REGISTRY="http://10.0.0.1:5055/a")

        assert [word for word in buildctl.asked[0] if word.endswith(",registry.insecure=true")]

    def test_names_the_image_by_its_inputs(self, tmp_path: Path):
        references = set()
        for base in ("one", "one", "two"):
            image = build(tmp_path, ScriptedBuildctl(), GOLDGATE_IMAGE_BASE=base)
            assert isinstance(image, ImageBuilt)
            references.add(image.reference)

        assert len(references) == 2

    def test_needs_a_registry(self, tmp_path: Path):
        with pytest.raises(PermanentError, match="GOLDGATE_IMAGE_REGISTRY"):
            build(tmp_path, ScriptedBuildctl(), GOLDGATE_IMAGE_REGISTRY="")

    def test_says_why_there_is_none(self, tmp_path: Path):
        image = build(tmp_path, ScriptedBuildctl(Ran(code=1, output="error: failed to dial https://me:pw@host")))

        assert isinstance(image, ImageUnavailable)
        assert "failed to dial" in image.reason
        assert "pw" not in image.reason

    @pytest.mark.parametrize("metadata", [{}, {"containerimage.digest": "sha256:short"}, [], None])
    def test_does_not_believe_a_build_without_a_digest(self, tmp_path: Path, metadata: object):
        image = build(tmp_path, ScriptedBuildctl(metadata=metadata))

        assert isinstance(image, ImageUnavailable)
        assert "does not tell its digest" in image.reason

    def test_takes_a_build_that_was_cut_short_as_no_answer(self, tmp_path: Path):
        with pytest.raises(TransientError, match="Build again"):
            build(tmp_path, ScriptedBuildctl(Ran(code=-15, output="")))
