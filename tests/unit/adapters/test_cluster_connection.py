"""Ways to an API server, against a server that only notes who asks."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from lightkube.resources.core_v1 import Pod

from goldgate.adapters.cluster.connection import Access, connect
from goldgate.domain.errors import PermanentError


class Notes(BaseHTTPRequestHandler):
    """Notes path and bearer of each request, and has no pods."""

    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("Authorization")))
        body = json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Notes) as server:
        server.seen = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def url(server):
    return f"http://127.0.0.1:{server.server_address[1]}"


def kubeconfig(url):
    return json.dumps(
        {
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": n, "user": {"token": f"token-of-{n}"}} for n in ("one", "two")],
            "contexts": [{"name": n, "context": {"cluster": "c", "user": n}} for n in ("one", "two")],
            "current-context": "one",
        }
    )


class TestConnect:
    def asked(self, where, server):
        list(connect(where, namespace="settings").client.list(Pod))
        return server.seen

    def test_goes_by_the_file_of_a_kubeconfig_and_the_context_behind_it(self, server, url, tmp_path):
        file = tmp_path / "config"
        file.write_text(kubeconfig(url))

        self.asked(str(file), server)
        self.asked(f"{file}#two", server)

        assert server.seen == [
            ("/api/v1/namespaces/settings/pods", "Bearer token-of-one"),
            ("/api/v1/namespaces/settings/pods", "Bearer token-of-two"),
        ]

    def test_goes_by_an_access_that_names_a_file(self, server, url, tmp_path):
        file = tmp_path / "config"
        file.write_text(kubeconfig(url))

        assert self.asked(Access(where=f"{file}#two"), server)[0][1] == "Bearer token-of-two"

    def test_goes_by_the_text_of_a_kubeconfig(self, server, url):
        self.asked(Access(kubeconfig=kubeconfig(url)), server)
        self.asked(Access(kubeconfig=kubeconfig(url), context="two"), server)

        assert [bearer for _, bearer in server.seen] == ["Bearer token-of-one", "Bearer token-of-two"]

    def test_goes_by_an_address_and_a_token(self, server, url):
        assert self.asked(Access(server=url, token="t"), server)[0][1] == "Bearer t"

    def test_follows_a_token_that_is_kept_in_a_file(self, server, url, tmp_path):
        file = tmp_path / "token"
        file.write_text("t1")

        assert self.asked(Access(server=url, token_file=str(file)), server)[0][1] == "Bearer t1"

    def test_stays_in_the_namespace_of_the_access(self, server, url):
        access = Access(server=url, token="t", namespace="own")

        assert self.asked(access, server)[0][0] == "/api/v1/namespaces/own/pods"
        assert connect(access, namespace="settings").namespace == "own"

    @pytest.mark.parametrize(
        "where",
        [
            "/no/such/kubeconfig",
            Access(where="/no/such/kubeconfig"),
            Access(server="https://127.0.0.1:1", ca_file="/no/such/ca", token="t"),
            Access(kubeconfig=kubeconfig("http://127.0.0.1:1"), context="three"),
            Access(kubeconfig="- hidden-key"),
            Access(kubeconfig="a: [hidden-key"),
            "in-cluster",
        ],
    )
    def test_says_what_leads_nowhere_and_shows_no_key(self, where):
        with pytest.raises(PermanentError, match="Found no way to the cluster") as raised:
            connect(where, namespace="n")

        assert "hidden-key" not in str(raised.value)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "a word",
            "a: [hidden-key",
            "clusters: hidden-key",
            "clusters: 5\ncontexts: []",
            "clusters: [{name: a, cluster: hidden-key}]\ncontexts: []",
            "contexts: []",
            "clusters: []\ncontexts: [1]\nusers: [hidden-key]",
        ],
    )
    def test_says_that_a_file_is_no_kubeconfig_and_shows_no_key(self, tmp_path, text):
        path = tmp_path / "config"
        path.write_text(text)

        with pytest.raises(PermanentError, match=r"Found no way to the cluster .* it is no ") as raised:
            connect(str(path), namespace="n")

        assert "hidden-key" not in str(raised.value)

    @pytest.mark.parametrize(("pod", "root"), [("ask-1", "ask"), ("ask-12", "ask"), ("ask-1-2", "ask-1")])
    def test_marks_what_a_pod_makes_as_its_successors_would(self, url, tmp_path, pod, root):
        """And as tended: nobody else is to make a pod for a run that a pod asked for."""
        path = tmp_path / "config"
        path.write_text(kubeconfig(url))

        found = connect(str(path), namespace="settings", pod=pod)

        assert found.labels == {"goldgate.dev/root": root, "goldgate.dev/tended-by": root}

    @pytest.mark.parametrize("pod", ["", "by-hand", "7"])
    def test_marks_nothing_of_what_is_no_pod_of_a_run(self, url, tmp_path, pod):
        path = tmp_path / "config"
        path.write_text(kubeconfig(url))

        assert connect(str(path), namespace="settings", pod=pod).labels == {}


class TestAccess:
    def test_does_not_show_its_keys(self):
        shown = repr(Access(server="https://s", token="hidden", kubeconfig="hidden"))

        assert "hidden" not in shown
