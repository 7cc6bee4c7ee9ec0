"""A bundle as one file, for places that keep no folders. Its digest stays that of its files: an archive proves nothing.

The same bundle gives the same tar file; how small gzip makes it may differ from machine to machine.
"""

import gzip
import io
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from goldgate.agent.staging import staged
from goldgate.contracts.bundle import BundleError, check_bundle, digest_files

MOST_BYTES: Final = 128 * 1024 * 1024
"""Of a bundle unpacked: half of what a pod may write to its own folder, unless its settings say otherwise."""
MOST_FILES: Final = 20_000

_CHUNK_BYTES: Final = 1024 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS


def pack_bundle(bundle: Path) -> bytes:
    """Write a bundle as one file.

    Raises:
        BundleError: It holds a link, or more than can be unpacked again.
    """
    digest_files(bundle)  # tells of links
    files = sorted(path for path in bundle.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in files)
    if size > MOST_BYTES or len(files) > MOST_FILES:
        raise BundleError(
            f"Found {len(files)} files of {size} bytes in `{bundle}`; expected at most {MOST_FILES} of {MOST_BYTES} "
            "together, because every pod unpacks them. Have the agent ask a tool server for what it knows."
        )
    packed = io.BytesIO()
    # Without a name and a time, which gzip would write down.
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0, compresslevel=9) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in files:
            entry = tarfile.TarInfo(path.relative_to(bundle).as_posix())
            entry.size = path.stat().st_size
            with path.open("rb") as file:
                tar.addfile(entry, file)
    return packed.getvalue()


def unpack_bundle(archive: bytes, *, into: Path, digest: str) -> Path:
    """Lay a bundle out as `into/<digest>`, if it is the one of that digest. One that is there already is returned.

    Raises:
        BundleError: The archive is damaged, leads out of its folder, is too large, or holds another bundle. Nothing of
            it is left.
    """
    target = into / digest
    if target.is_dir():
        return target
    with staged(into) as staging:
        with _unsqueezed(archive, beside=staging) as tar:
            _lay_out(tar, staging)
        check_bundle(staging, digest=digest)
        try:
            staging.rename(target)
        except OSError:
            check_bundle(target, digest=digest)  # another thread or process was faster
    return target


@contextmanager
def _unsqueezed(archive: bytes, *, beside: Path) -> Iterator[BinaryIO]:
    """Unpack into a file whose size is watched: a short archive may hold any amount of zeros."""
    path = beside.with_suffix(".tar")
    inflater = zlib.decompressobj(_GZIP)
    try:
        with path.open("w+b") as file:
            left = archive
            while not inflater.eof:
                chunk = inflater.decompress(left, _CHUNK_BYTES)
                left = inflater.unconsumed_tail
                if not chunk and not left and not inflater.eof:
                    raise BundleError("Found an archive of a bundle that ends too early; expected a whole one.")
                file.write(chunk)
                if file.tell() > 2 * MOST_BYTES:  # a small file takes up to a kilobyte more than it has
                    raise BundleError(f"Found an archive of more than {2 * MOST_BYTES} bytes; expected a bundle.")
            file.seek(0)
            yield file
    except zlib.error as error:
        raise BundleError(f"Found a damaged archive of a bundle ({error}); expected gzip.") from error
    finally:
        path.unlink(missing_ok=True)


def _lay_out(file: BinaryIO, folder: Path) -> None:
    count = size = 0
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for entry in tar:
                count, size = count + 1, size + entry.size
                if count > MOST_FILES or size > MOST_BYTES:
                    raise BundleError(f"Found more than {MOST_FILES} files or {MOST_BYTES} bytes in the archive.")
                content = tar.extractfile(entry) if entry.isreg() else None
                if content is None:
                    raise BundleError(f"Found `{entry.name}`, which is no file; expected files only.")
                target = folder / _inside(entry.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as written:
                    shutil.copyfileobj(content, written)
    except (tarfile.TarError, OSError, ValueError) as error:
        raise BundleError(f"Found an archive that cannot be unpacked ({error}); expected that of a bundle.") from error


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in name:
        raise BundleError(f"Found `{name}` in the archive, which leads out of its folder; expected a path inside it.")
    return path
