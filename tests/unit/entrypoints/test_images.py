"""An image tells by its labels what it was made of."""

import hashlib

import pytest

from goldgate.entrypoints.images import predict_digest, runtime_image
from goldgate.entrypoints.settings import CHECKOUT


@pytest.mark.parametrize("which", ["agent", "router"])
class TestRuntimeImage:
    def test_tells_lock_schema_and_revision(self, which):
        source = runtime_image(which, env={"GOLDGATE_REVISION": "abc"})

        lock = hashlib.sha256((CHECKOUT / "include" / "images" / which / "requirements.txt").read_bytes()).hexdigest()
        assert source.name == f"goldgate-{which}"
        assert source.labels["dev.goldgate.lock-digest"] == f"sha256:{lock}"
        assert source.labels["dev.goldgate.model-schema"] == f"sha256:{predict_digest()}"
        assert source.labels["org.opencontainers.image.revision"] == "abc"
        assert source.labels["org.opencontainers.image.title"] == source.name

    def test_is_described_the_same_twice(self, which):
        env = {"GOLDGATE_REVISION": "abc"}

        assert runtime_image(which, env=env) == runtime_image(which, env=env)

    def test_has_a_dockerfile(self, which):
        assert runtime_image(which, env={}).dockerfile.is_file()
