"""Ask a gold set in a pod: `python -m goldgate.entrypoints.evaluation_pod ORDER`.

ORDER says, as JSON, where the `EvaluationOrder` lies in parts. Bundles and rows are read from parts and held to their
digests, results are laid down in parts, and where they lie is the pod's last word (its termination message).

Exit codes: 0 asked, 5 impossible as it is, 74 something that lay in parts is gone, 75 not now, 143 told to end. What
went wrong is the last word then.
"""

import argparse
import base64
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from goldgate.agent.bundle_archive import unpack_bundle
from goldgate.contracts.cluster import StoredText
from goldgate.contracts.documents import parse_json, parse_jsonl
from goldgate.contracts.evaluation import JUDGE_VERSION, Progress, Spent
from goldgate.contracts.evaluation_pods import EvaluationOrder, EvaluationTold
from goldgate.contracts.gold import GoldRow
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.evaluations import About, ask_here
from goldgate.entrypoints.logs import log_as_json
from goldgate.entrypoints.pod_process import leave_last_word
from goldgate.entrypoints.settings import Settings
from goldgate.ports.parts import PartMissingError, PartStore
from goldgate.release.trial import Contestant, OnRow, RunGoldSet

log = logging.getLogger(__name__)

ASKED: Final = 0
IMPOSSIBLE: Final = 5
PART_MISSING: Final = 74
"""Whoever ordered it lays down again what is missing, and has another pod ask."""
TRY_AGAIN: Final = 75
TOLD_TO_END: Final = 143
"""As a shell says it of SIGTERM: whoever waits takes the pod for lost, and asks another."""
RESULTS: Final = "results"
"""What its parts are for."""
PROGRESS: Final = "evaluation.progress"
"""The line of its log that tells how many answers there are, `done` and `of`."""

OUTLIVES_S: Final = 300.0
"""So long the API server may be away, and neither the pod nor whoever waits for it gives up what was paid for."""

_TELL_EVERY: Final = 10
"""Lines of progress in all."""


def carry_out(order: EvaluationOrder, *, parts: PartStore, folder: Path, ask: RunGoldSet) -> EvaluationTold:
    """Ask the gold set of an order, and lay down the results.

    Args:
        order: What to do.
        parts: Where everything lies.
        folder: Bundles are unpacked below it.
        ask: Asks.

    Raises:
        PartMissingError: Something of the order is missing or damaged.
        PermanentError: The budget ran out; or this image judges differently from whoever ordered it.
        TransientError: An agent, or the cluster, is not there now.
    """
    _require_same_judge(order)
    results = ask(
        parse_jsonl(parts.get(order.rows), GoldRow, where="the gold set of the order"),
        contestants=_contestants(order, parts=parts, folder=folder),
        plan=order.plan,
        on_row=told_now_and_then(lambda now: log.info(PROGRESS, extra=now.model_dump())),
    )
    return EvaluationTold(
        results={
            who: parts.put("".join(f"{row.model_dump_json()}\n" for row in rows), use=RESULTS)
            for who, rows in results.items()
        }
    )


def _require_same_judge(order: EvaluationOrder) -> None:
    if order.judge_version != JUDGE_VERSION:
        raise PermanentError(
            f"Found the judge `{JUDGE_VERSION}` in the image of this pod; expected `{order.judge_version}`, by which "
            "the scores are to be compared. Nothing was asked. Give `image` of the PodSettings the agent image of the "
            "version of Goldgate that Airflow runs."
        )


def _contestants(order: EvaluationOrder, *, parts: PartStore, folder: Path) -> dict[str, Contestant]:
    return {
        who: Contestant(
            bundle=unpack_bundle(base64.b64decode(parts.get(each.archive)), into=folder, digest=each.bundle_digest),
            bundle_digest=each.bundle_digest,
        )
        for who, each in order.contestants.items()
    }


def told_now_and_then(tell: OnRow) -> OnRow:
    """Pass on progress about ten times in all."""

    def on_row(now: Progress) -> None:
        if now.done == now.of or now.done * _TELL_EVERY // now.of > (now.done - 1) * _TELL_EVERY // now.of:
            tell(now)

    return on_row


def _carry_out(text: str, *, spent: Spent, env: Mapping[str, str]) -> EvaluationTold:
    # Imported late: whoever reads the help, or a wrong argument, waits for nothing.
    from goldgate.adapters.cluster.connection import connect  # noqa: PLC0415 - as above
    from goldgate.adapters.cluster.failures import Patience  # noqa: PLC0415 - as above
    from goldgate.adapters.cluster.parts import ClusterPartStore  # noqa: PLC0415 - as above

    settings = Settings.from_env(env)
    cluster = connect(settings.cluster, namespace=settings.namespace)
    parts = ClusterPartStore(cluster, patience=Patience(within_s=OUTLIVES_S))
    where = parse_json(text, StoredText, where="ORDER")
    order = parse_json(parts.get(where), EvaluationOrder, where="the order")
    versions = {who: each.version for who, each in order.contestants.items()}
    about = About(agent=order.agent, release_id=order.release_id, versions=versions)

    ask = partial(ask_here, about=about, settings=settings, env=settings.completed(env), spent=spent)
    return carry_out(order, parts=parts, folder=settings.home / "bundles", ask=ask)


def main(
    argv: Sequence[str] | None = None,
    *,
    env: Mapping[str, str] = os.environ,
    work: Callable[..., EvaluationTold] = _carry_out,
) -> int:
    """Do what an order says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("order", help="where the order lies, as JSON")
    parser.add_argument("--spent", default="{}", help="what of the budget earlier pods used up, as JSON")
    arguments = parser.parse_args(argv)
    log_as_json()
    try:
        spent = parse_json(arguments.spent, Spent, where="--spent")
        told = work(arguments.order, spent=spent, env=env).model_dump_json()
        code = ASKED
    except (TransientError, PermanentError) as error:
        told, code = str(error), _code_of(error)
    except Exception as error:
        # Said in place of an end without a word, which is taken for a pod that was lost, and is asked again and paid.
        log.exception("evaluation.fell_over")
        told, code = f"{type(error).__name__}: {error}", IMPOSSIBLE
    log.info("evaluation.ended", extra={"code": code, "told": told})
    leave_last_word(told, env=env)
    return code


def _code_of(error: Exception) -> int:
    if isinstance(error, PartMissingError):
        return PART_MISSING
    return TRY_AGAIN if isinstance(error, TransientError) else IMPOSSIBLE


def end_at_once(*_: object) -> None:
    """End without a word: what was asked so far is of no use to anybody."""
    os._exit(TOLD_TO_END)


if __name__ == "__main__":
    # The first process of a container has to say what it does when it is told to end: otherwise it goes on asking, and
    # paying, until its grace is over.
    signal.signal(signal.SIGTERM, end_at_once)
    sys.exit(main())
