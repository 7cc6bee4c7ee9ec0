"""Where a chat endpoint is, by which key and through which proxy: what an LLM says, filled in from the environment."""

import urllib.request
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote, urlsplit

import httpcore2
import httpx2

from goldgate.contracts.llm import LLMSpec
from goldgate.domain.errors import PermanentError
from goldgate.domain.models.providers import PROVIDERS, address_problem

NO_KEY = "none"
"""Sent to an endpoint that asks for no key: the client refuses to send nothing."""


def address_of(spec: LLMSpec, env: Mapping[str, str]) -> str:
    """Find the address of an endpoint.

    Raises:
        PermanentError: A variable is not set, or what it holds is no address.
    """
    if spec.base_url is not None:
        url, whence = spec.base_url, "`baseUrl` of the LLM"
    elif spec.base_url_from is not None:
        name = spec.base_url_from.env
        url, whence = _required(env, name, "that `baseUrlFrom` of the LLM names"), f"`{name}`"
    else:
        provider = PROVIDERS[spec.provider or ""]
        for name in provider.variables:
            _required(env, name, f"that the address of provider `{spec.provider}` is made of (or give `baseUrl`)")
        url, whence = provider.address(env), ", ".join(f"`{name}`" for name in provider.variables)
    if (problem := address_problem(url) or _client_problem(url)) is not None:
        # It is not quoted: it may hold a secret.
        raise PermanentError(f"Found {problem} in the address that {whence} gives; expected `https://host/path`.")
    return url


def _client_problem(url: str) -> str | None:
    try:
        httpx2.URL(url)
    except httpx2.InvalidURL:
        return "a host that the client does not take"
    return None


def key_of(spec: LLMSpec, env: Mapping[str, str]) -> str:
    """Find the key of an endpoint.

    Raises:
        PermanentError: A variable is not set, or what it holds is no key.
    """
    if spec.api_key_from is not None:
        name, why = spec.api_key_from.env, "that `apiKeyFrom` of the LLM names"
    elif spec.provider is not None and (default := PROVIDERS[spec.provider].key_variable) is not None:
        name, why = default, f"that provider `{spec.provider}` expects its key in (or give `apiKeyFrom`)"
    else:
        return NO_KEY
    key = _required(env, name, why).strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        # The libraries below would quote it in their error.
        raise PermanentError(f"Found white space or odd characters in `{name}`; expected a key. Set it anew.")
    return key


def _required(env: Mapping[str, str], name: str, why: str) -> str:
    if not (value := env.get(name)):
        raise PermanentError(f"Found no environment variable `{name}`; expected the one {why}. Set it.")
    return value


def proxy_for(url: str, env: Mapping[str, str]) -> httpcore2.Proxy | None:
    """Find the proxy that the environment names for an address.

    Raises:
        PermanentError: It names one that cannot be used. To go past it would be worse.
    """
    parts = urlsplit(url)
    # Public by its name and old, but not in the type stubs.
    bypasses = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    without = {"no": env.get("no_proxy") or env.get("NO_PROXY") or ""}
    if any(bypasses(host, without) for host in (parts.hostname or "", parts.netloc.rpartition("@")[2])):
        return None
    names = [name for kind in (parts.scheme, "all") for name in (f"{kind}_proxy", f"{kind}_proxy".upper())]
    name = next((name for name in names if env.get(name)), None)
    return _proxy(env[name], named_by=name) if name is not None else None


def _proxy(given: str, *, named_by: str) -> httpcore2.Proxy:
    url = given.strip()
    url = url if "://" in url else f"http://{url}"  # as curl and others read it
    if (problem := address_problem(url)) is not None:
        raise PermanentError(f"Found {problem} in the proxy that `{named_by}` names; expected `http://host:port`.")
    proxy: SplitResult = urlsplit(url)
    auth = (unquote(proxy.username).encode(), unquote(proxy.password or "").encode()) if proxy.username else None
    return httpcore2.Proxy(f"{proxy.scheme}://{proxy.netloc.rpartition('@')[2]}", auth=auth)
