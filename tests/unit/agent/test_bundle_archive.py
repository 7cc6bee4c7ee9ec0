import gzip
import io
import os
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.agent.bundle import seal
from goldgate.agent.bundle_archive import pack_bundle, unpack_bundle
from goldgate.contracts.bundle import BundleError, BundleManifest, digest_files

NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,20}(/[a-zäöü][a-z0-9_.-]{0,80}){0,2}", fullmatch=True)


def written(folder: Path, files: dict[str, bytes]) -> BundleManifest:
    for name, content in {"agent.yaml": b"kind: Agent\n", **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return seal(folder, agent="tiny")


def archive_of(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for entry, content in entries:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def refusal(archive: bytes, into: Path) -> str:
    with pytest.raises(BundleError) as caught:
        unpack_bundle(archive, into=into / "bundles", digest="0" * 64)
    assert list((into / "bundles").iterdir()) == []
    return str(caught.value)


class TestPackBundle:
    def test_gives_the_same_archive_for_the_same_files(self, tmp_path: Path):
        for each, age in (("one", 1), ("two", 1_000_000_000)):
            written(tmp_path / each, {"b.md": b"b", "a/c.md": b"c"})
            os.utime(tmp_path / each / "b.md", (age, age))
        (tmp_path / "two/b.md").chmod(0o600)

        assert pack_bundle(tmp_path / "one") == pack_bundle(tmp_path / "two")

    def test_refuses_a_link(self, tmp_path: Path):
        written(tmp_path / "bundle", {})
        (tmp_path / "bundle/passwords").symlink_to("/etc/passwd")

        with pytest.raises(BundleError, match="link"):
            pack_bundle(tmp_path / "bundle")


class TestUnpackBundle:
    @given(st.dictionaries(NAMES, st.binary(max_size=3_000), max_size=8))
    def test_gives_back_every_file(self, files: dict[str, bytes]):
        """Whatever a bundle holds comes out as it went in, or it never went in."""
        with TemporaryDirectory() as name:
            home = Path(name)
            try:
                manifest = written(home / "bundle", files)
            except OSError:
                return  # a name that is a file and a folder at once

            found = unpack_bundle(pack_bundle(home / "bundle"), into=home / "bundles", digest=manifest.digest)

            assert found == home / "bundles" / manifest.digest
            assert digest_files(found) == digest_files(home / "bundle")

    def test_keeps_one_that_is_there(self, tmp_path: Path):
        manifest = written(tmp_path / "bundle", {})
        archive = pack_bundle(tmp_path / "bundle")

        once = unpack_bundle(archive, into=tmp_path, digest=manifest.digest)

        assert unpack_bundle(b"", into=tmp_path, digest=manifest.digest) == once

    def test_refuses_another_bundle(self, tmp_path: Path):
        written(tmp_path / "bundle", {"a.md": b"a"})

        assert "was expected" in refusal(pack_bundle(tmp_path / "bundle"), tmp_path)

    @pytest.mark.parametrize("name", ["../agent.yaml", "/srv/agent.yaml", "a/../../b", "..", "a\\..\\b"])
    def test_refuses_a_path_that_leads_out(self, tmp_path: Path, name: str):
        assert "leads out of its folder" in refusal(archive_of((tarfile.TarInfo(name), b"x")), tmp_path)

    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
    def test_refuses_whatever_is_no_file(self, tmp_path: Path, kind: bytes):
        entry = tarfile.TarInfo("agent.yaml")
        entry.type, entry.linkname = kind, "/etc/passwd"

        assert "no file" in refusal(archive_of((entry, b"")), tmp_path)

    def test_refuses_one_name_twice(self, tmp_path: Path):
        """The second would overwrite what the first was checked for."""
        twice = [(tarfile.TarInfo("agent.yaml"), content) for content in (b"a", b"b")]

        assert "cannot be unpacked" in refusal(archive_of(*twice), tmp_path)

    def test_refuses_a_short_archive_of_endless_zeros(self, tmp_path: Path):
        zeros = io.BytesIO()
        with gzip.GzipFile(fileobj=zeros, mode="wb") as file:
            for _ in range(300):
                file.write(bytes(1024 * 1024))

        assert "more than" in refusal(zeros.getvalue(), tmp_path)

    @pytest.mark.parametrize(
        "archive", [b"", b"no gzip", gzip.compress(b"no tar" * 500)], ids=["nothing", "no gzip", "no tar"]
    )
    def test_refuses_damage(self, tmp_path: Path, archive: bytes):
        assert "archive" in refusal(archive, tmp_path)

    def test_refuses_one_that_was_cut(self, tmp_path: Path):
        written(tmp_path / "bundle", {"a.md": os.urandom(5_000)})
        archive = pack_bundle(tmp_path / "bundle")

        assert "ends too early" in refusal(archive[:2_000], tmp_path)
