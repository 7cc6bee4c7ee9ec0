"""`-n`: the namespace of the cluster that a command is about, as `kubectl` takes it."""

import re
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Final

import click

from goldgate.contracts.resource_parts import NAME_PATTERN
from goldgate.entrypoints.task_tables import PROGRAM

_VARIABLE: Final = "GOLDGATE_NAMESPACE"
_KEPT: Final = f"{__name__}.named"
"""Where the contexts of a command and of its group, which share it, keep what was named."""


class Namespace(click.ParamType[str, Any]):
    """The name of a namespace."""

    name = "namespace"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what is no name: it becomes part of addresses."""
        if re.fullmatch(NAME_PATTERN, str(value)) is None:
            self.fail(f"found `{value}`; expected a name of small letters, digits and dashes", param, ctx)
        return str(value)


def in_namespace(command: click.Command) -> click.Command:
    """Give a command `-n`. Those made by `command_with` then work in that namespace."""
    option = click.Option(
        ["-n", "--namespace"],
        type=Namespace(),
        callback=_keep,
        expose_value=False,
        help=f"Namespace of the cluster, in place of {_VARIABLE}.",
    )
    command.params.append(option)
    return command


class InNamespace(click.Group):
    """A group that takes `-n` before the command and behind it. What stands behind it holds."""

    def __init__(self, *given: Any, **named: Any) -> None:
        """Make the group."""
        super().__init__(*given, **named)
        in_namespace(self)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Take a command in."""
        super().add_command(in_namespace(cmd), name)


@contextmanager
def as_named(env: MutableMapping[str, str]) -> Iterator[None]:
    """Have an environment name the namespace that was given, for as long as the command takes.

    Args:
        env: That of this process: whatever works for the command reads its settings there.

    Raises:
        UsageError: One was given, and there is no cluster that could have it.
    """
    named = _named()
    if named is None:
        yield
        return
    if not env.get("GOLDGATE_CLUSTER"):
        raise click.UsageError(f"Found `-n {named}`, and no GOLDGATE_CLUSTER; expected a cluster. Set it, or omit -n.")
    before = env.get(_VARIABLE)
    env[_VARIABLE] = named
    try:
        yield
    finally:
        if before is None:
            del env[_VARIABLE]
        else:
            env[_VARIABLE] = before


def task_program() -> str:
    """Begin a command on runs that somebody is to type: in the namespace that this one was given."""
    named = _named()
    return PROGRAM if named is None else f"{PROGRAM} -n {named}"


def _named() -> str | None:
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(_KEPT)


def _keep(context: click.Context, param: click.Parameter, value: str | None) -> None:  # noqa: ARG001 - click's signature
    if value is not None:
        context.meta[_KEPT] = value
