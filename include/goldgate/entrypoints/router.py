"""Run the router: `python -m goldgate.entrypoints.router`.

One OpenAI-compatible endpoint for every agent in the registry. It follows the alias `champion` and the canary within a
second, keeps the last known good table in `<home>/router/`, and logs every request in `<home>/requests/`.

It listens where GOLDGATE_ROUTER_LISTEN says (`host:port`; `*:8800`: on every address), else at GOLDGATE_ROUTER_URL, and
believes `X-Forwarded-For` of the addresses and networks in GOLDGATE_ROUTER_PROXIES, else of this machine.
"""

import argparse
import ipaddress
import logging
import math
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import uvicorn

from goldgate.adapters.file_locks import FileLocks
from goldgate.adapters.http_arm import HttpArmClient
from goldgate.adapters.jsonl_request_log import JsonlRequestLog
from goldgate.adapters.system_clock import SystemClock
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.declared_rates import DeclaredRates
from goldgate.entrypoints.logs import log_as_json
from goldgate.entrypoints.retention import Retention
from goldgate.entrypoints.router_arms import arms_of
from goldgate.entrypoints.serving_loop import listen_on, serve_until_stopped
from goldgate.entrypoints.settings import Settings, SettingsError
from goldgate.entrypoints.tracing import AgentSinks, check_headers
from goldgate.serving.caller import caller_key, hash_caller
from goldgate.serving.rate_limits import RouterRates
from goldgate.serving.router import Limits, RouterParts, create_router
from goldgate.serving.traces import Tracer
from goldgate.serving.watch import TrafficWatch

log = logging.getLogger(__name__)

EXIT_IMPOSSIBLE: Final = 2
_GRACE_S: Final = 6
"""How long requests under way may take to end. Below the supervisor's `stopwaitsecs`."""

_IDLE_S: Final = 75
"""How long a connection without a request stays: longer than proxies keep theirs (60 s), or they meet a closed one."""

_PRUNE_EVERY: Final = timedelta(days=1)
_PRUNE_AGAIN_AFTER: Final = timedelta(minutes=5)
"""After a look that could not remove all: MLflow is still starting when the router is, on one machine."""

_LAST_PORT: Final = 65_535
_IPV4: Final = 4
_LONGEST_DAYS: Final = 36_500
_LONGEST_S: Final = 86_400


@dataclass(frozen=True, kw_only=True)
class _Options:
    """What the command line says."""

    host: str
    port: int
    proxies: list[str]
    """Who may say on whose behalf they ask."""
    is_headless: bool
    retention: timedelta
    limits: Limits
    rates: RouterRates


def main(argv: Sequence[str] | None = None, *, env: Mapping[str, str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; requests under way are answered first.

    Returns:
        0 after a clean stop, 2 if a setting is wrong or the address is taken.
    """
    try:
        env = os.environ if env is None else env
        settings = Settings.from_env(env)
        options = _options(_parser().parse_args(argv), settings, env=env)
        key = caller_key(settings.home / "router" / "caller.key")
        check_headers(env)
        listener = _listen(options.host, options.port)
    except PermanentError as error:
        print(f"router: {error}", file=sys.stderr)  # noqa: T201 - a command that talks to people
        return EXIT_IMPOSSIBLE
    log_as_json()
    with listener:
        _serve(listener, settings=settings, options=options, key=key, env=env)
    return 0


def _serve(
    listener: socket.socket, *, settings: Settings, options: _Options, key: bytes, env: Mapping[str, str]
) -> None:
    clock = SystemClock()
    watch = _watch(settings, options=options, clock=clock)
    request_log = JsonlRequestLog(settings.home / "requests")
    sinks, ending = AgentSinks(settings, env=env), threading.Event()
    retention = Retention(settings, env=env, older_than=options.retention)
    parts = RouterParts(
        traffic=watch,
        client=HttpArmClient(max_connections=options.limits.max_in_flight),
        log=request_log,
        clock=clock,
        monotonic_s=time.monotonic,
        tracer=_tracer(sinks),
        hash_caller=partial(hash_caller, key=key),
        limits=options.limits,
        rates=options.rates,
        rate_of=DeclaredRates(settings.home / "bundles").of,
    )
    watch.start()
    threading.Thread(
        target=prune_daily,
        kwargs={"wait": ending.wait, "remove_expired": lambda: retention.remove_expired(now=clock.now())},
        daemon=True,
    ).start()
    try:
        _answer(parts, listener=listener, proxies=options.proxies)
    finally:
        ending.set()
        watch.stop()
        request_log.close()
        sinks.close()


def _watch(settings: Settings, *, options: _Options, clock: SystemClock) -> TrafficWatch:
    # 4 s of import, only to serve: `--help` and a taken port answer at once.
    from goldgate.adapters.mlflow_registry import MlflowRegistry  # noqa: PLC0415

    registry = MlflowRegistry(settings.mlflow_url, locks=FileLocks(settings.home / "locks"))
    return TrafficWatch(
        registry=registry,
        arms=arms_of(settings, registry=registry, is_headless=options.is_headless),
        clock=clock,
        saved=settings.home / "router" / "traffic.json",
    )


def _tracer(sinks: AgentSinks) -> Tracer:
    return Tracer(
        new_id=secrets.token_hex,
        now_ns=time.time_ns,
        monotonic_s=time.monotonic,
        sink_of=sinks.of,
        dropped=lambda: sinks.dropped,
    )


def _answer(parts: RouterParts, *, listener: socket.socket, proxies: list[str]) -> None:
    config = uvicorn.Config(
        create_router(parts),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_GRACE_S,
        timeout_keep_alive=_IDLE_S,
        forwarded_allow_ips=proxies,
    )
    host, port = listener.getsockname()[:2]
    log.info("router.listening", extra={"url": f"http://{host}:{port}"})
    serve_until_stopped(uvicorn.Server(config), listener=listener)


def prune_daily(*, wait: Callable[[float], bool], remove_expired: Callable[[], bool]) -> None:
    """Remove what is too old at once and then once a day; again soon where that was not possible.

    Args:
        wait: Waits so many seconds, and says whether the router ends.
        remove_expired: Says whether all could be removed that is too old.
    """
    is_ending = False
    while not is_ending:
        try:
            is_done = remove_expired()
        except Exception:
            # Whatever it is, what is too old is still there: without this thread nobody would remove it, or say so.
            log.exception("retention.failed")
            is_done = False
        is_ending = wait((_PRUNE_EVERY if is_done else _PRUNE_AGAIN_AFTER).total_seconds())


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen_on(host, port=port, backlog=512)
    except (OSError, OverflowError) as error:
        raise PermanentError(
            f"Cannot listen on {host}:{port} ({error}). Stop what listens there, or move the router with "
            "GOLDGATE_ROUTER_URL, GOLDGATE_ROUTER_LISTEN or --port."
        ) from error


def _options(arguments: argparse.Namespace, settings: Settings, *, env: Mapping[str, str]) -> _Options:
    host, port = _address(env.get("GOLDGATE_ROUTER_LISTEN", ""), otherwise=settings.router_url)
    return _Options(
        host=arguments.host or host,
        port=port if arguments.port is None else arguments.port,
        proxies=_proxies(env.get("GOLDGATE_ROUTER_PROXIES", "")),
        is_headless=arguments.arms_by == "pod",
        retention=timedelta(days=arguments.retention_days),
        limits=Limits(
            max_in_flight=arguments.max_in_flight,
            max_body_bytes=arguments.max_body_bytes,
            within_s=arguments.within_s,
            body_within_s=arguments.body_within_s,
        ),
        rates=RouterRates.from_env(env),
    )


def _address(listen: str, *, otherwise: str) -> tuple[str, int]:
    """Read where to listen: `host:port`, or where callers find the router."""
    if not listen:
        url = urlsplit(otherwise)
        return url.hostname or "127.0.0.1", url.port or 0
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise SettingsError(
            f"Found GOLDGATE_ROUTER_LISTEN=`{listen}`; expected an address and a port such as `127.0.0.1:8800`, "
            "`[::1]:8800` or `*:8800`. Correct it, or unset it: the router then listens at GOLDGATE_ROUTER_URL."
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


def _proxies(text: str) -> list[str]:
    """Read who may say on whose behalf they ask: those named, else this machine."""
    found: list[str] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            network = ipaddress.ip_network(part)
        except ValueError as error:
            raise SettingsError(
                f"Found `{part}` in GOLDGATE_ROUTER_PROXIES ({error}); expected addresses and networks of proxies, "
                "such as `10.0.0.7,10.1.0.0/16`."
            ) from error
        found.append(str(network))
        if network.version == _IPV4:
            # So they are called where one socket listens for both families.
            found.append(f"::ffff:{network.network_address}/{network.prefixlen + 96}")
    return found or ["127.0.0.1", "::1", "::ffff:127.0.0.1"]


def _parser() -> argparse.ArgumentParser:
    defaults = Limits()
    parser = argparse.ArgumentParser(
        prog="python -m goldgate.entrypoints.router",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", help="address to listen on, `*`: all; see above")
    parser.add_argument("--port", type=int, help="as above; 0 takes a free one")
    parser.add_argument(
        "--arms-by",
        choices=("service", "pod"),
        default="service",
        help="in a cluster: ask arms through their Services (default), or their pods, where nothing serves Services",
    )
    parser.add_argument(
        "--retention-days", type=_days, default=30, help="how long logs and traces are kept (default 30)"
    )
    parser.add_argument("--max-in-flight", type=_count, default=defaults.max_in_flight, help="above it: 429")
    parser.add_argument("--max-body-bytes", type=_count, default=defaults.max_body_bytes, help="above it: 413")
    parser.add_argument("--within-s", type=_seconds, default=defaults.within_s, help="how long an arm may take")
    parser.add_argument(
        "--body-within-s",
        type=_seconds,
        default=defaults.body_within_s,
        help="how long a request may take to arrive; beyond it: 408",
    )
    return parser


def _days(text: str) -> float:
    """Read a time to keep things. A negative one would remove all there is."""
    return _between(text, low=0, high=_LONGEST_DAYS)


def _seconds(text: str) -> float:
    return _between(text, low=0, high=_LONGEST_S)


def _count(text: str) -> int:
    return int(_between(text, low=0, high=sys.maxsize))


def _between(text: str, *, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low < value <= high:
        raise argparse.ArgumentTypeError(f"found `{text}`, expected a number above {low:g}, at most {high:g}")
    return value


if __name__ == "__main__":
    sys.exit(main())
