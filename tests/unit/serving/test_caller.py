import pytest

from goldgate.domain.errors import PermanentError
from goldgate.serving.caller import caller_key, hash_caller


class TestHashCaller:
    def test_knows_a_caller_again_by_the_same_key_only(self):
        assert hash_caller("ann", key=b"k") == hash_caller("ann", key=b"k")
        assert len({hash_caller(who, key=key) for who in ("ann", "bob") for key in (b"k", b"l")}) == 4

    def test_does_not_hold_the_caller(self):
        assert "ann" not in hash_caller("ann", key=b"k")


class TestCallerKey:
    def test_is_made_once_for_its_owner_alone(self, tmp_path):
        path = tmp_path / "router" / "caller.key"

        key = caller_key(path)

        assert len(key) == 32
        assert path.stat().st_mode & 0o777 == 0o600
        assert caller_key(path) == key

    def test_that_others_may_read_is_refused(self, tmp_path):
        path = tmp_path / "caller.key"
        caller_key(path)
        path.chmod(0o644)

        with pytest.raises(PermanentError, match=r"mode 644; expected 600"):
            caller_key(path)

    def test_that_is_cut_is_refused(self, tmp_path):
        path = tmp_path / "caller.key"
        caller_key(path)
        path.write_bytes(b"short")

        with pytest.raises(PermanentError, match="Found 5 bytes"):
            caller_key(path)
