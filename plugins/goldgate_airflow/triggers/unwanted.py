"""What a trigger does when Airflow takes it away while it waits."""

import asyncio

from airflow.triggers.base import BaseTrigger

from goldgate_airflow.places import Place
from goldgate_airflow.task_states import unwanted_state


async def cancel_if_unwanted(trigger: BaseTrigger, place: Place) -> None:
    """End a run if somebody decided on its task.

    Airflow calls `on_kill` of a trigger whose task was marked failed or succeeded, and also of one whose task was
    cleared, and (3.3.2) of one that another triggerer took over because this one was away too long: then the run is
    still wanted. So the state of the task is asked first.
    """
    if state := await asyncio.to_thread(unwanted_state, trigger.task_instance):
        await asyncio.to_thread(place.cancel, f"its task is {state}")
