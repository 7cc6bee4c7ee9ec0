from goldgate.entrypoints.arm import fetched_bundle, main
from goldgate.entrypoints.settings import Settings


class TestFetchedBundle:
    def test_is_the_one_that_is_there(self, tmp_path):
        """Without asking the registry, which may be down: nothing listens on port 1."""
        env = {"GOLDGATE_HOME": str(tmp_path), "GOLDGATE_MLFLOW_URL": "http://127.0.0.1:1"}
        folder = tmp_path / "bundles" / "helper" / "7"
        folder.mkdir(parents=True)

        assert fetched_bundle(Settings.from_env(env), agent="helper", version="7") == folder


class TestArmProgram:
    def test_ends_with_the_reason_when_its_bundle_is_damaged(self, tmp_path, capsys):
        folder = tmp_path / "bundles" / "helper" / "7"
        folder.mkdir(parents=True)

        code = main(["--agent", "helper", "--version", "7", "--home", str(tmp_path)], env={})

        assert code == 2
        assert "bundle.json" in capsys.readouterr().err
        assert list((tmp_path).rglob("run/arms/*")) == []
