"""What a build sees: only what the Dockerfile's own ignore file lets in, copied aside with plain permissions."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from goldgate.domain.errors import PermanentError


def files_of(context: Path, dockerfile: Path) -> dict[str, Path]:
    """Read the Dockerfile's ignore file, `<Dockerfile>.dockerignore`: everything (`*`) but what `!` lets in.

    Only this form is understood: what an image is made of is named, never what it is not made of.

    Raises:
        PermanentError: There is no such file, or it has another form, or names what is not there.
    """
    ignore = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    if not ignore.is_file():
        raise PermanentError(f"Found no `{ignore}`; expected `*`, and a line `!<path>` for each path the image needs.")
    lines = [line for line in ignore.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    if not lines or lines[0] != "*":
        raise PermanentError(f"Found `{ignore}` without `*` in its first line; expected it, so that nothing slips in.")
    files: dict[str, Path] = {}
    for line in lines[1:]:
        if line in {"**/__pycache__", "**/*.pyc"}:
            continue
        path = context / line.removeprefix("!")
        if not line.startswith("!") or not path.exists():
            raise PermanentError(f"Found the line `{line}` in `{ignore}`; expected `!` and a path below `{context}`.")
        files |= {
            found.relative_to(context).as_posix(): found for found in ([path] if path.is_file() else _below(path))
        }
    return dict(sorted(files.items()))


def stage(files: Mapping[str, Path], target: Path) -> None:
    """Copy the files into a new folder. All can be read by everybody, whatever the umask of the checkout was."""
    target.mkdir()
    for inside, path in files.items():
        copied = target / inside
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copied)
        copied.chmod(0o644)
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
        folder.chmod(0o755)


def _below(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    ]
