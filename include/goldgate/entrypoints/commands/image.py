"""`goldgate image ...`: the images that a cluster runs."""

import os
from typing import cast

import click

from goldgate.contracts.release import ImageUnavailable
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.commands.common import command
from goldgate.entrypoints.display import Screen
from goldgate.entrypoints.images import Runtime, runtime_image
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.wiring import Wiring


@click.group()
def image() -> None:
    """Build the images that a cluster runs."""


@image.command()
@click.argument("which", type=click.Choice(["agent", "router"]))
@command
def build(which: str, *, screen: Screen, settings: Settings) -> None:
    """Build the image of the agent runtime or of the router, and print its name.

    With GOLDGATE_IMAGE_REGISTRY it is pushed, and the name is the one to deploy: by digest. GOLDGATE_IMAGE_BASE names
    what it is built on. The same inputs are not built twice.
    """
    source = runtime_image(cast("Runtime", which), env=os.environ)
    built = Wiring(settings).images.build(
        context=source.context, dockerfile=source.dockerfile, name=source.name, labels=dict(source.labels)
    )
    if isinstance(built, ImageUnavailable):
        raise PermanentError(f"Found no image of the {which}: {built.reason}.")
    screen.result(built, built.pushed or built.reference)
