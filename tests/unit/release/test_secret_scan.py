"""What looks like a secret is found and never repeated; what does not is left alone.

Every sample is put together here, so that no file of the project holds one.
"""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.release.secret_scan import SecretFound, find_secrets, kinds_in

B64 = "q7Rk2ZxP0vL9sWd4Tn8Yb3Hf6Jm1Cg5UoEiAaXpQr"

SECRETS = {
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "AWS access key id": "id = AKIA" + "IOSFODNN7EXAMPL3",
    "Google API key": "AIza" + B64[:35],
    "Azure storage key": "AccountKey=" + (B64 * 3)[:86] + "==",
    "GitHub token": "ghp_" + B64[:36],
    "GitLab token": "glpat-" + B64[:20],
    "Slack token": "xoxb-" + "123456789012-abcdef",
    "API key (`sk-...`)": "key sk-proj-" + B64[:24],
    "JSON web token": ".".join(["eyJ" + B64[:20], "eyJ" + B64[5:30], B64[:22]]),
    "password in an address": "postgresql://admin:" + "s3cr3t" + "@db:5432/x",
    "value that looks random, under a name that sounds secret": "api_key: " + B64[:24],
}

INNOCENT = [
    "apiKeyFrom: {env: OPENAI_API_KEY}",
    'api_key = os.environ["OPENAI_API_KEY"]',
    "The option `fernet_key` is the secret key used to encrypt passwords.",
    "token_budget: 1200",
    "max_tokens: 100000000000000000000",
    "sql_alchemy_conn: postgresql+psycopg2://user:{password}@host/airflow",
    "result_backend = db+postgresql://user:$PASSWORD@host/airflow",
    "digest: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "password: this-is-a-description-of-a-password",
    "task-runner-and-risk-management-system-2",
    "AIRFLOW__SECRETS__BACKEND=airflow.providers.hashicorp.secrets.vault.VaultBackend",
    "secret_name: projects/my-project/secrets/airflow-connections",
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----",
]


class TestKindsIn:
    @pytest.mark.parametrize("kind", SECRETS)
    def test_finds(self, kind: str):
        assert kinds_in(SECRETS[kind]) == [kind]

    @pytest.mark.parametrize("line", INNOCENT)
    def test_leaves_alone(self, line: str):
        assert kinds_in(line) == []

    @given(prefix=st.text(alphabet=" \"'({[,;"), suffix=st.text(alphabet=" \"')}],;"))
    def test_finds_a_key_whatever_surrounds_it(self, prefix: str, suffix: str):
        for kind in ("AWS access key id", "GitHub token", "JSON web token"):
            assert kind in kinds_in(f"{prefix}{SECRETS[kind]}{suffix}")


class TestFindSecrets:
    def test_tells_file_line_and_kind_and_never_the_secret(self, tmp_path: Path):
        (tmp_path / "prompts").mkdir()
        (tmp_path / "prompts" / "system.md").write_text("Be kind.\n\n" + SECRETS["GitHub token"] + "\n")
        (tmp_path / ".env").write_text(SECRETS["AWS access key id"])

        found = find_secrets(tmp_path)

        assert found == [
            SecretFound(where=".env:1", kind="AWS access key id"),
            SecretFound(where="prompts/system.md:3", kind="GitHub token"),
        ]
        assert B64[:10] not in repr(found)

    def test_reads_what_is_no_text(self, tmp_path: Path):
        (tmp_path / "blob.bin").write_bytes(b"\xff\x00\xfe" + SECRETS["private key"].encode())

        assert [secret.kind for secret in find_secrets(tmp_path)] == ["private key"]

    def test_leaves_the_virtual_environment_of_its_author_alone(self, tmp_path: Path):
        """Packages hold what looks like secrets, and none of it is released."""
        (tmp_path / "env").mkdir()
        (tmp_path / "env" / "pyvenv.cfg").touch()
        (tmp_path / "env" / "a.py").write_text("url = 'https://user:hunter2hunter2@example.com'\n")

        assert find_secrets(tmp_path) == []

        (tmp_path / "env" / "pyvenv.cfg").unlink()
        assert len(find_secrets(tmp_path)) == 1

    def test_finds_nothing_in_an_empty_folder(self, tmp_path: Path):
        assert find_secrets(tmp_path) == []
