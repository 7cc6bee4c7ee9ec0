"""Have every bad day of `faults.py` happen, and write down what came of it: `python -m tests.cluster.fault_drill`.

Writes include/docs/fault-drill.md; with `--print` it only prints the page. Runs on the cluster that `make test-cluster`
would run on, which has to be one that may be broken.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from goldgate.entrypoints.settings import CHECKOUT
from tests.cluster.clusters import NoClusterError, any_cluster, prepare
from tests.cluster.conftest import ClusterUnderTest, cluster_of, namespaced
from tests.cluster.faults import FAULTS, Fault, Outcome, outcome_of
from tests.cluster.tending import Tended, settings_of
from tests.cluster.world import World, settle

PAGE = CHECKOUT / "include" / "docs" / "fault-drill.md"

_HEAD = """\
# Fault drill

One run of an agent that asks a model, books a room by a tool, and asks the model again; each time something else goes
wrong. The tool honours the key of a call, so that a call that is made again books nothing twice.

`make fault-drill` makes this page, on a one-node cluster: real pods, a real API server. `make test-cluster` holds every
row to what is expected of it. *Pods* counts those that were launched, *booked* how often the tool acted; seconds are
from the run's beginning to its end, the fault and what it takes to repair it included, and mean little beyond a hint.

| What happens | Phase | Pods | Booked | Seconds |
|---|---|---|---|---|
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What came of one bad day."""

    fault: Fault
    outcome: Outcome | None
    """None: nothing came of it in time."""
    seconds: float

    @property
    def is_as_expected(self) -> bool:
        """Whether it came out as the list says."""
        return self.outcome == self.fault.expected

    def __str__(self) -> str:
        """Write the row of the table."""
        out = self.outcome
        mark = "" if self.is_as_expected else " **not as expected**"
        told = "nothing | | |" if out is None else f"{out.phase} | {out.pods} | {out.booked} |"
        return f"| {self.fault.name}{mark} | {told} {self.seconds:.0f} |"


def page(rows: Sequence[Row]) -> str:
    """Write the page."""
    return _HEAD + "".join(f"{row}\n" for row in rows)


def drilled(whole: ClusterUnderTest, fault: Fault) -> Row:
    """Have one bad day happen to a run of its own."""
    with namespaced(whole) as cluster, tempfile.TemporaryDirectory() as folder:
        world = World(cluster.host)
        place = settle(cluster, world, Path(folder))
        with settings_of(place):
            tended = Tended(place, "r1")
            began = time.monotonic()
            outcome: Outcome | None = None
            try:
                fault.act(place, tended)
                outcome = outcome_of(place, tended)
            except Exception as error:  # noqa: BLE001 - told as a row; the others are drilled all the same
                sys.stderr.write(f"{fault.name}: {type(error).__name__}: {error}\n")
            seconds = time.monotonic() - began
        world.close()
        return Row(fault=fault, outcome=outcome, seconds=seconds)


def main() -> int:
    """Drill. 1: something came out otherwise than expected; 3: there is no cluster."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="write no file")
    arguments = parser.parse_args()
    # Ended from outside, the cluster is taken down all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with any_cluster() as found:
            os.environ.update(found.env)
            prepare(os.environ)
            whole = cluster_of(os.environ)
            assert whole is not None
            rows = []
            for fault in FAULTS:
                rows.append(drilled(whole, fault))
                sys.stderr.write(f"{rows[-1]}\n")
    except NoClusterError as error:
        sys.stderr.write(f"There is no cluster to drill on: {error}\n")
        return 3
    if arguments.print:
        sys.stdout.write(page(rows))
    else:
        PAGE.write_text(page(rows), encoding="utf-8")
    return 0 if all(row.is_as_expected for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
