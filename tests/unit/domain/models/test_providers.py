from typing import get_args

import pytest

from goldgate.contracts.llm import ProviderName
from goldgate.domain.models.providers import PROVIDERS, address_problem


class TestProviders:
    def test_are_those_that_an_llm_may_name(self):
        assert set(PROVIDERS) == set(get_args(ProviderName))

    def test_have_an_address_of_their_own(self):
        addresses = [provider.base_url for provider in PROVIDERS.values()]

        assert len(set(addresses)) == len(addresses)

    def test_speak_over_tls_unless_they_are_on_this_machine(self):
        open_ones = {name for name, each in PROVIDERS.items() if each.base_url.startswith("http://")}

        assert open_ones == {"vllm", "ollama", "lmstudio"}
        assert all(PROVIDERS[name].base_url.startswith("http://localhost:") for name in open_ones)

    def test_fill_in_their_address(self):
        env = {"GOOGLE_CLOUD_PROJECT": "p-1", "GOOGLE_CLOUD_LOCATION": "europe-west1"}

        assert PROVIDERS["vertex"].address(env) == (
            "https://europe-west1-aiplatform.googleapis.com/v1/projects/p-1/locations/europe-west1/endpoints/openapi"
        )
        assert PROVIDERS["vertex"].address({**env, "GOOGLE_CLOUD_LOCATION": "global"}) == (
            "https://aiplatform.googleapis.com/v1/projects/p-1/locations/global/endpoints/openapi"
        )
        azure = {"AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com/"}
        assert PROVIDERS["azure"].address(azure) == "https://mine.openai.azure.com/openai/v1"


class TestAddressProblem:
    @pytest.mark.parametrize(
        ("url", "told"),
        [
            ("localhost:8000/v1", "neither"),
            ("ftp://h/v1", "neither"),
            ("//h/v1", "neither"),
            ("http:///v1", "no host"),
            ("http://[::1", "broken"),
            ("http://h:port/v1", "broken"),
            ("http://h:99999/v1", "broken"),
            ("http://a..b/v1", "broken"),
            (f"http://{'a' * 64}.example/v1", "broken"),
            ("http://h/v1?api-version=1", "query"),
            ("http://h/v1#part", "query"),
            ("http://a b/v1", "white space"),
            (" http://h/v1", "white space"),
            ("http://h/v1?", "query"),
            ("http://h/%zz", "broken `%`"),
            ("http://h/\x7f", "white space"),
            ("http://a,b/v1", "broken"),
            ("http://h[::1]/v1", "broken"),
            ("http://a<b@h/v1", "broken"),
        ],
    )
    def test_is_named_before_anything_is_asked(self, url, told):
        assert told in (address_problem(url) or "")

    @pytest.mark.parametrize(
        "url",
        ["http://h", "https://h:8443/v1/", "http://[::1]:8000/v1", "http://u:p@10.0.0.1/v1", "https://b\u00fc.de/"],
    )
    def test_is_none_of_an_address(self, url):
        assert address_problem(url) is None
