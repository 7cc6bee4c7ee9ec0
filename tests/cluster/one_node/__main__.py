"""Start or end a one-node cluster by hand: `python -m tests.cluster.one_node up|down FOLDER [IMAGE.tar ...]`."""

import argparse
import sys
from pathlib import Path

from tests.cluster.one_node.cluster import take_up, up


def main() -> int:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("act", choices=["up", "down"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--enforcing", action="store_true", help="enforce NetworkPolicies")
    parser.add_argument("images", type=Path, nargs="*", help="archives, the pause image among them")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if arguments.act == "down":
        take_up(folder).down()
        return 0
    say = lambda line: sys.stderr.write(f"{line}\n")  # noqa: E731
    node = up(folder, images=arguments.images, say=say, enforcing=arguments.enforcing)
    sys.stdout.write(f"export KUBECONFIG={node.kubeconfig}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
