"""Where a gold set is asked: in this process, or in a pod where a cluster is configured."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from goldgate.contracts.evaluation import GoldSetPlan, ResultRow, Spent
from goldgate.contracts.gold import GoldRow
from goldgate.domain.digest import short
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.agents import load_agent
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.tracing import open_sink
from goldgate.evals.run import Predict, run_gold_set
from goldgate.release.trial import Contestant, OnRow, RunGoldSet

if TYPE_CHECKING:
    from goldgate.adapters.cluster.connection import Access


@dataclass(frozen=True, kw_only=True)
class About:
    """What the spans of an evaluation say of it: each row of its results names its trace."""

    agent: str
    release_id: str
    versions: Mapping[str, str]
    """Of each contestant."""


def gold_set_runner(
    about: About, *, settings: Settings, env: Mapping[str, str], access: "Access | None" = None
) -> RunGoldSet:
    """Choose where the gold set is asked: in a pod where a cluster is given, or the settings name one; else here."""
    where = access or settings.cluster
    if not where:
        return partial(ask_here, about=about, settings=settings, env=env)
    # Imported late: without a cluster nothing of it is needed.
    from goldgate.entrypoints.evaluation_in_pod import in_pod  # noqa: PLC0415 - as above

    return in_pod(settings, about=about, access=where)


def ask_here(
    rows: Sequence[GoldRow],
    *,
    contestants: Mapping[str, Contestant],
    plan: GoldSetPlan,
    on_row: OnRow,
    about: About,
    settings: Settings,
    env: Mapping[str, str],
    spent: Spent = Spent(),  # noqa: B008 - frozen
) -> dict[str, list[ResultRow]]:
    """Open every contestant in this process, and ask them all; see `goldgate.evals.run.run_gold_set`.

    Raises:
        PermanentError: A bundle is not the one of its digest, or the budget ran out.
        TransientError: An agent cannot be opened now.
    """
    with ExitStack() as opened:
        agents = {
            who: _opened(
                contestant, opened=opened, version=about.versions[who], about=about, settings=settings, env=env
            )
            for who, contestant in contestants.items()
        }
        return run_gold_set(rows, agents=agents, plan=plan, on_row=on_row, spent=spent)


def _opened(
    contestant: Contestant,
    *,
    opened: ExitStack,
    version: str,
    about: About,
    settings: Settings,
    env: Mapping[str, str],
) -> Predict:
    attributes = {
        "goldgate.purpose": "evaluation",
        "goldgate.release_id": about.release_id,
        "goldgate.version": version,
    }
    sink = opened.enter_context(closing(open_sink(settings, env=env, agent=about.agent, attributes=attributes)))
    agent = opened.enter_context(closing(load_agent(contestant.bundle, env=env, sink=sink)))
    if agent.digest != contestant.bundle_digest:
        raise PermanentError(
            f"Found bundle {short(agent.digest)} in `{contestant.bundle}`; expected {short(contestant.bundle_digest)}, "
            "which was to be evaluated. Nothing was asked. Evaluate again."
        )
    agent.warm_up()
    return agent.predict
