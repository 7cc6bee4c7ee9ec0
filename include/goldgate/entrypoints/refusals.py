"""What the operating system refused, in words for people."""


def refused(error: OSError) -> str:
    """Say which path, why, and where to look."""
    where = f" `{error.filename}`" if error.filename else ""
    return f"the system refused{where}: {error.strerror or error}. Look at space and permissions."
