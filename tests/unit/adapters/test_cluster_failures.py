import httpx2
import pytest
from lightkube.core.exceptions import ApiError, ConfigError

from goldgate.adapters.cluster.failures import Patience, refusal
from goldgate.domain.errors import PermanentError, TransientError

REQUEST = httpx2.Request("GET", "https://api/apis/goldgate.dev/v1alpha1/namespaces/n/taskruns/r")


def answered(code: int, message: str = "as it says", **headers: str) -> ApiError:
    status = {"kind": "Status", "code": code, "message": message}
    return ApiError(request=REQUEST, response=httpx2.Response(code, json=status, headers=headers, request=REQUEST))


def answered_in_plain_text(code: int) -> httpx2.HTTPStatusError:
    return httpx2.HTTPStatusError("404", request=REQUEST, response=httpx2.Response(code, text="404", request=REQUEST))


class Server:
    """Fails as it is told, then answers; keeps the time that is waited for it."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.now_s = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> str:
        if self.failures:
            raise self.failures.pop(0)
        return "answer"

    def wait(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now_s += seconds

    def patience(self, **options: float) -> Patience:
        return Patience(monotonic_s=lambda: self.now_s, sleep_s=self.wait, **options)


class TestPatience:
    @pytest.mark.parametrize(
        "failure",
        [
            httpx2.ConnectError("refused"),
            httpx2.ReadTimeout("slow"),
            httpx2.RemoteProtocolError("cut"),
            answered(500),
            answered(503),
            answered(504),
            answered(429),
        ],
    )
    def test_outlives_what_passes(self, failure: Exception):
        server = Server(*[failure] * 10)

        assert server.patience().ask(server) == "answer"
        assert len(server.pauses) == 10

    def test_waits_longer_each_time_up_to_a_bound(self):
        server = Server(*[answered(503)] * 12)

        server.patience(first_pause_s=0.1, longest_pause_s=2.0).ask(server)

        assert server.pauses[:2] == [0.1, pytest.approx(0.15)]
        assert server.pauses[-1] == 2.0

    def test_outlives_a_restart_of_half_a_minute(self):
        server = Server()
        down_until_s = 30.0

        def ask() -> str:
            if server.now_s < down_until_s:
                raise httpx2.ConnectError("refused")
            return "answer"

        assert server.patience().ask(ask) == "answer"
        assert server.now_s < down_until_s + 2.0

    def test_ends(self):
        server = Server(*[answered(503)] * 1_000)

        with pytest.raises(ApiError):
            server.patience(within_s=60.0).ask(server)

        assert 50 < server.now_s <= 60

    def test_waits_as_long_as_the_server_asks_for(self):
        server = Server(answered(429, **{"Retry-After": "1"}))

        server.patience().ask(server)

        assert server.pauses == [1.0]

    def test_waits_no_longer_than_its_longest_pause_whatever_the_server_asks_for(self):
        server = Server(answered(429, **{"Retry-After": "50"}))

        server.patience(longest_pause_s=2.0).ask(server)

        assert server.pauses == [2.0]

    @pytest.mark.parametrize("failure", [answered(403), answered(401), answered_in_plain_text(404)])
    def test_asks_a_server_that_just_began_once_more_for_a_short_time(self, failure: Exception):
        """It serves before it has read the roles, and the kinds of others."""
        late, never = Server(*[failure] * 3), Server(*[failure] * 100)

        assert late.patience().ask(late) == "answer"
        with pytest.raises(httpx2.HTTPStatusError):
            never.patience(refused_within_s=3.0).ask(never)

        assert never.now_s <= 3.0

    def test_believes_no_refusal_right_after_the_server_was_away(self):
        server = Server(*[httpx2.ConnectError("refused")] * 15, answered(403), answered(403), answered(403))

        assert server.patience(refused_within_s=3.0).ask(server) == "answer"
        assert server.now_s > 10

    def test_believes_every_refusal_where_it_is_told_to(self):
        server = Server(answered(403))

        with pytest.raises(ApiError):
            server.patience(refused_within_s=0.0).ask(server)

        assert server.pauses == []

    @pytest.mark.parametrize(
        "failure", [answered(404), answered(409), answered(422), answered(500, "request is too large")]
    )
    def test_is_for_nothing_that_stays_so(self, failure: Exception):
        server = Server(failure)

        with pytest.raises(type(failure)):
            server.patience().ask(server)

        assert server.pauses == []


class TestRefusals:
    @pytest.mark.parametrize("failure", [httpx2.ConnectError("refused"), answered(503), answered(429), answered(401)])
    def test_that_pass_are_transient(self, failure: Exception):
        assert isinstance(refusal(failure, doing="read TaskRun `r`"), TransientError)

    @pytest.mark.parametrize(
        ("failure", "advice"),
        [
            (answered(403, "tasks is forbidden"), "tasks is forbidden. Give this account that right."),
            (
                answered(
                    403, f"ValidatingAdmissionPolicy 'a' with binding 'a' denied request: Secret s {'x' * 400} end."
                ),
                f"`r`: Secret s {'x' * 400} end",
            ),
            (answered(422, "spec.x: unknown"), "spec.x: unknown"),
            (answered(500, "etcdserver: request is too large"), "Make it smaller"),
            (answered(413), "Make it smaller"),
            (answered_in_plain_text(404), "kubectl apply -k include/deploy/crds"),
            (ConfigError("Token file x not found"), "Token file x not found"),
        ],
    )
    def test_that_stay_so_say_what_to_do(self, failure: Exception, advice: str):
        told = refusal(failure, doing="read TaskRun `r`")

        assert isinstance(told, PermanentError)
        assert "read TaskRun `r`" in str(told)
        assert advice in str(told)
