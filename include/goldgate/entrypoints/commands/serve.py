"""`goldgate serve ...`: one server in the foreground."""

import click

from goldgate.entrypoints import arm as arm_program
from goldgate.entrypoints import router as router_program
from goldgate.entrypoints import standin as standin_program

PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


@click.group()
def serve() -> None:
    """Run one server in the foreground: router, arm or model."""


@serve.command(context_settings=PASS_ON, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def router(arguments: tuple[str, ...]) -> None:
    """Split live traffic between champion and canary (`goldgate serve router --help`)."""
    raise SystemExit(router_program.main(list(arguments)))


@serve.command(context_settings=PASS_ON, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def arm(arguments: tuple[str, ...]) -> None:
    """Answer for one version of one agent (`goldgate serve arm --help`)."""
    raise SystemExit(arm_program.main(list(arguments)))


@serve.command(context_settings=PASS_ON, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def model(arguments: tuple[str, ...]) -> None:
    """Run the stand-in model (`goldgate serve model --help`). It is not a language model."""
    raise SystemExit(standin_program.main(list(arguments)))
