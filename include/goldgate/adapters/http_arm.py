"""Asks arms over HTTP, on connections that are kept open."""

import asyncio
from typing import Final

import httpx
from pydantic import ValidationError

from goldgate.contracts.prediction import PredictRequest, PredictResponse
from goldgate.domain.trace_context import TraceContext
from goldgate.ports.delivery import ArmFailedError

_CONNECT_WITHIN_S: Final = 2.0
"""Arms are near. One that takes longer to accept is not there."""

_JSON: Final = {"content-type": "application/json"}


class HttpArmClient:
    """One pool of connections for all arms. Made and used on one event loop."""

    def __init__(self, *, max_connections: int = 256) -> None:
        limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
        # No proxy and no .netrc from the environment: arms are on this machine or in this cluster.
        self._client = httpx.AsyncClient(limits=limits, trust_env=False, follow_redirects=False)

    async def predict(
        self, address: str, request: PredictRequest, *, within_s: float, parent_span_id: str | None = None
    ) -> PredictResponse:
        """Ask once; see `goldgate.ports.delivery.ArmClient`."""
        headers = _JSON
        if request.trace_id and parent_span_id:
            headers = {
                **_JSON,
                "traceparent": TraceContext(trace_id=request.trace_id, span_id=parent_span_id).traceparent,
            }
        timeout = httpx.Timeout(within_s, connect=min(_CONNECT_WITHIN_S, within_s))
        try:
            # The client's own time-out begins anew with every byte: an arm that drips would keep its caller for ever.
            async with asyncio.timeout(within_s):
                answered = await self._client.post(
                    f"{address}/predict", content=request.model_dump_json(), headers=headers, timeout=timeout
                )
        except httpx.ConnectError as error:
            raise ArmFailedError(f"The arm at {address} refuses connections.", failure="refused") from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise ArmFailedError(
                f"The arm at {address} did not answer within {within_s:g} s.", failure="timeout"
            ) from error
        except httpx.HTTPError as error:
            raise ArmFailedError(
                f"The connection to the arm at {address} broke: {error!r}.", failure="broken"
            ) from error
        if answered.status_code != httpx.codes.OK:
            raise ArmFailedError(f"The arm at {address} answered with {answered.status_code}.", failure="status")
        try:
            return PredictResponse.model_validate_json(answered.content)
        except ValidationError as error:
            raise ArmFailedError(
                f"The arm at {address} broke the contract in {error.error_count()} fields.", failure="garbled"
            ) from error

    async def close(self) -> None:
        """Let all connections go."""
        await self._client.aclose()
