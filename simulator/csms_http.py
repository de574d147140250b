"""The demo CSMS over HTTP, on its own port, for judges in another process.

    GET  /report[?identity=CP-1]                 the books as JSON
    POST /behave[?identity=CP-1]&boot=pending:2  change manners; values as `Manners` names them, JSON for lists
    POST /send?identity=CP-1&action=Reset&payload={"type":"Soft"}    the charger's answer
    POST /drop?identity=CP-1[&code=1000]         close its sockets

Arguments are in the query: requests have no body.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from simulator.rpc import Answer

if TYPE_CHECKING:
    from simulator.csms import Csms


async def answer_http(csms: Csms, connection: ServerConnection, request: Request) -> Response:
    """Answer a request that is no WebSocket upgrade."""
    parts = urlsplit(request.path)
    arguments = dict(parse_qsl(parts.query, keep_blank_values=True))
    handlers = {
        ("GET", "/report"): _report,
        ("POST", "/behave"): _behave,
        ("POST", "/send"): _send,
        ("POST", "/drop"): _drop,
    }
    handler = handlers.get((request.method, parts.path))
    status, body = HTTPStatus.NOT_FOUND, {"detail": "There is nothing here for this method."}
    if handler is not None:
        try:
            status, body = HTTPStatus.OK, await handler(csms, arguments)
        except LookupError as error:
            status, body = HTTPStatus.NOT_FOUND, {"detail": str(error)}
        except (ValueError, TypeError) as error:
            status, body = HTTPStatus.BAD_REQUEST, {"detail": str(error)}
        except TimeoutError:
            status, body = HTTPStatus.GATEWAY_TIMEOUT, {"detail": "The charger did not answer."}
    response = connection.respond(status, "")
    response.body = orjson.dumps(body)
    del response.headers["Content-Type"], response.headers["Content-Length"]
    response.headers["Content-Type"] = "application/json"
    response.headers["Content-Length"] = str(len(response.body))
    return response


async def _report(csms: Csms, arguments: dict[str, str]) -> dict[str, Any]:
    wanted = arguments.get("identity")

    def pick(items: Any) -> list[Any]:
        # Records as they are: orjson writes their fields.
        return [item for item in items if wanted in (None, item.identity)]

    overlaps = [pair for pair in csms.overlaps() if wanted in (None, pair[0].identity)]
    return {
        "url": csms.url,
        "connected": csms.connected(),
        "accepted": csms.accepted(),
        "attempts": {key: len(times) for key, times in csms.attempts.items()},
        "sockets": pick(csms.sockets),
        "overlaps": overlaps,
        "offences": pick(csms.offences),
        # All frames of thousands of chargers would be no report; those of one are.
        "frames": pick(csms.frames) if wanted else len(csms.frames),
    }


async def _behave(csms: Csms, arguments: dict[str, str]) -> dict[str, Any]:
    identity = arguments.pop("identity", None)
    changes: dict[str, Any] = dict(arguments)
    for name, convert in (("retry_s", int), ("delay_s", float), ("close_code", int)):
        if name in changes:
            changes[name] = convert(changes[name])
    if "answers" in changes:
        changes["answers"] = orjson.loads(changes["answers"])
    csms.behave(identity, **changes)
    return {}


async def _send(csms: Csms, arguments: dict[str, str]) -> dict[str, Any]:
    payload = orjson.loads(arguments.get("payload") or "{}")
    if "identity" not in arguments or "action" not in arguments or not isinstance(payload, dict):
        raise ValueError("send needs identity, action and a payload that is a JSON object.")
    answer = await csms.send(arguments["identity"], arguments["action"], payload)
    if isinstance(answer, Answer):
        return {"answer": answer.payload}
    return {"error": {"code": answer.code, "description": answer.description}}


async def _drop(csms: Csms, arguments: dict[str, str]) -> dict[str, Any]:
    code = arguments.get("code")
    await csms.drop(arguments.get("identity", ""), int(code) if code else None)
    return {}
