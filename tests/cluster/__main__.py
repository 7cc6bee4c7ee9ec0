"""Run the cluster tests and say on which cluster: `python -m tests.cluster [arguments of pytest]`."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.clusters import Found, NoClusterError, any_cluster, prepare

CHECKOUT = Path(__file__).resolve().parents[2]
NO_CLUSTER = 3
_NOTHING_CHOSEN = 5
"""Of pytest: no test fits what was asked for."""


def main() -> int:
    """Find or start a cluster, give it our custom resources, and test.

    Returns:
        What pytest returns; 3 if there is no cluster to test on.
    """
    # Ended from outside, the cluster is taken down all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with any_cluster() as found:
            sys.stdout.write(f"Cluster tests on {found.what}.\n")
            sys.stdout.flush()
            return _test(found)
    except NoClusterError as error:
        sys.stderr.write(f"There is no cluster to test on: {error}\n")
        return NO_CLUSTER


def _test(found: Found) -> int:
    env = {**os.environ, **found.env}
    prepare(env)
    arguments = sys.argv[1:] or [str(CHECKOUT / "tests" / "cluster")]
    calm = _pytest("-m", "not disruptive", *arguments, env=env)
    alone = _pytest("-m", "disruptive", *arguments, "-n", "0", env=env)
    return next((code for code in (calm, alone) if code not in {0, _NOTHING_CHOSEN}), 0)


def _pytest(*arguments: str, env: Mapping[str, str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], env=dict(env), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
