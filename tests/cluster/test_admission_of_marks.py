"""What says whose a TaskRun is: written by those who may record in it, so that no pod of others forges its result."""

import json
from collections.abc import Iterator

import pytest

from goldgate.contracts.cluster import PODS_ANNOTATION, ROOT_LABEL
from tests.cluster.bearers import API, Bearer, Deployed

AUTHOR, RECORDER = "author", "recorder"
"""Who may change TaskRuns, and who may record in them as well."""
MINE = '{"launched":1,"pod":"mine-1"}'
THEIRS = {"status": {"statusDetail": "forged"}}


@pytest.fixture(scope="module")
def cluster(deployed: Deployed) -> Deployed:
    """With roles for both."""
    changes = "--verb=get,list,create,update,patch"
    deployed.kubectl("create", "role", AUTHOR, changes, "--resource=taskruns.goldgate.dev")
    resources = "--resource=taskruns.goldgate.dev,taskruns.goldgate.dev/status"
    deployed.kubectl("create", "role", RECORDER, changes, resources)
    for who in (AUTHOR, RECORDER):
        deployed.kubectl("create", "rolebinding", who, f"--role={who}", f"--user={who}")
    return deployed


@pytest.fixture
def theirs(cluster: Deployed) -> Iterator[str]:
    """A run of somebody else, on which a pod works."""
    spec = {"agentRef": "a", "userMessage": "m"}
    made = {"apiVersion": API, "kind": "TaskRun", "metadata": {"name": "theirs"}, "spec": spec}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(made))
    cluster.kubectl("annotate", "taskrun", "theirs", f'{PODS_ANNOTATION}={{"launched":1,"pod":"theirs-1"}}')
    yield "theirs"
    cluster.kubectl("delete", "taskrun", "theirs")


def refusal(cluster: Deployed, *arguments: str, by: str) -> str:
    ran = cluster.try_kubectl(*arguments, "--as", by)
    return "" if ran.returncode == 0 else ran.stderr


@pytest.mark.parametrize(
    ("act", "mark", "value"),
    [("annotate", PODS_ANNOTATION, MINE), ("label", ROOT_LABEL, "mine")],
    ids=["pods", "root"],
)
class TestMarks:
    def test_are_not_written_by_who_may_only_change_runs(self, cluster, theirs, act, mark, value):
        """Else a pod of the author's own could record in that run."""
        told = refusal(cluster, act, "--overwrite", "taskrun", theirs, f"{mark}={value}", by=AUTHOR)

        assert f"{AUTHOR} changes the" in told
        assert f"{mark} of TaskRun {theirs}" in told
        assert "does not work on" in Bearer.of_pod(cluster, "mine-1").patch(theirs, THEIRS, is_of_status=True)

    def test_are_written_by_who_may_record(self, cluster, theirs, act, mark, value):
        assert refusal(cluster, act, "--overwrite", "taskrun", theirs, f"{mark}={value}", by=RECORDER) == ""


class TestWhoMayOnlyChangeRuns:
    def test_takes_no_mark_out(self, cluster, theirs):
        assert PODS_ANNOTATION in refusal(cluster, "annotate", "taskrun", theirs, f"{PODS_ANNOTATION}-", by=AUTHOR)

    def test_changes_all_else(self, cluster, theirs):
        assert refusal(cluster, "annotate", "taskrun", theirs, "team=x", by=AUTHOR) == ""
        assert refusal(cluster, "label", "taskrun", theirs, "team=x", by=AUTHOR) == ""
