"""What commands take for an agent: its name, or its folder."""

from pathlib import Path


def named_folder(name_or_folder: str) -> Path | None:
    """Read an argument as a path, if it is one; None: it is the name of an agent."""
    folder = Path(name_or_folder)
    return folder if "/" in name_or_folder or (folder / "agent.yaml").is_file() else None
