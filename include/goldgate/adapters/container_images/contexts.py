"""What a build sees: only what the Dockerfile's own ignore file lets in, copied aside with plain permissions."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from goldgate.domain.errors import PermanentError

_NEVER_IN: Final = frozenset({"**/__pycache__", "**/*.pyc", "**/.*"})
"""Lines that say, for builders that read the ignore file themselves, what is left out here in any case."""


def read_context(context: Path, dockerfile: Path) -> dict[str, bytes]:
    """Read what the Dockerfile's ignore file, `<Dockerfile>.dockerignore`, lets in: nothing (`*`) but what `!` names.

    Only this form is understood: what an image is made of is named, never what it is not made of. Bytecode and hidden
    files (an editor's, a `.env`) are never in it.

    Returns:
        Contents by path inside the context, sorted. They are read once, so that what is built is what was named.

    Raises:
        PermanentError: There is no such file, or it has another form, or names what is not below the context, or a
            link is let in: what it leads to was never named.
    """
    ignore = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    if not ignore.is_file():
        raise PermanentError(f"Found no `{ignore}`; expected `*`, and a line `!<path>` for each path the image needs.")
    lines = [line for line in ignore.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    if not lines or lines[0] != "*":
        raise PermanentError(f"Found `{ignore}` without `*` in its first line; expected it, so that nothing slips in.")
    files: dict[str, bytes] = {}
    for line in lines[1:]:
        if line in _NEVER_IN:
            continue
        path = _named(line, context=context, ignore=ignore)
        files |= {
            found.relative_to(context).as_posix(): found.read_bytes()
            for found in ([path] if path.is_file() else _below(path))
        }
    return dict(sorted(files.items()))


def stage(files: Mapping[str, bytes], target: Path) -> None:
    """Write the files into a new folder. All can be read by everybody, whatever the umask of the checkout was."""
    target.mkdir()
    for inside, content in files.items():
        written = target / inside
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_bytes(content)
        written.chmod(0o644)
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
        folder.chmod(0o755)


def _named(line: str, *, context: Path, ignore: Path) -> Path:
    inside = Path(line.removeprefix("!"))
    is_below = inside.parts and not inside.is_absolute() and ".." not in inside.parts
    if not line.startswith("!") or not is_below or not (context / inside).exists():
        raise PermanentError(f"Found the line `{line}` in `{ignore}`; expected `!` and a path below `{context}`.")
    for linked in (context / inside, *(context / above for above in inside.parents if above.parts)):
        _refuse_link(linked)
    return context / inside


def _below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if "__pycache__" in inside.parts or any(part.startswith(".") for part in inside.parts):
            continue
        _refuse_link(path)
        if path.is_file() and path.suffix != ".pyc":
            yield path


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise PermanentError(
            f"Found the link `{path}` among what an image is made of; expected files and folders, because nobody named "
            "what it leads to. Put a copy in its place."
        )
