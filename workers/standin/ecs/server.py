"""The wire: HTTP in, operation out. Read `EcsStandin` for how to use it, `_answer` for the order of things.

Every request must be signed with the stand-in's access key (only its name is compared): a RunTask starts a
program, and other accounts of this machine may reach the port.
"""

from __future__ import annotations

import hmac
import json
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl

from workers.standin.ecs import definitions, logs, neighbours, runtask, tasks
from workers.standin.ecs.control import control
from workers.standin.ecs.errors import AwsError, HungUp
from workers.standin.ecs.lifecycle import Lifecycle
from workers.standin.ecs.records import Json, StandinSettings
from workers.standin.ecs.world import World

_CREDENTIAL: Final = re.compile(r"Credential=([^/,\s]+)/\d+/[^/]+/([^/]+)/aws4_request")
_BODY_MAX: Final = 1_000_000
_ECS: Final = "AmazonEC2ContainerServiceV20141113"


class EcsStandin:
    """A running stand-in. Use it as a context manager; leaving it ends every task's process.

    `endpoint` is what AWS_ENDPOINT_URL names, `access_key` what AWS_ACCESS_KEY_ID must be.
    """

    def __init__(
        self,
        settings: StandinSettings | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        access_key: str,
        time_scale: float = 1.0,
    ) -> None:
        """Raises `OSError` when the port is taken."""
        self.access_key = access_key
        self._server = _Server((host, port), _Handler)
        self.world = World(settings or StandinSettings(), time_scale)
        self.lifecycle = Lifecycle(self.world)
        self._server.dispatch = Dispatch(self.world, self.lifecycle, access_key)
        self.endpoint = f"http://{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="ecs-standin-http", daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self.world.scheduler.start()
        self._thread.start()

    def close(self) -> None:
        """Stop answering, end every process, remove the scratch folder."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.world.scheduler.close()
        self.lifecycle.close()
        self.world.close()

    def __enter__(self) -> EcsStandin:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Dispatch:
    """Finds the operation of a request and carries it out, faults and throttling included."""

    def __init__(self, world: World, lifecycle: Lifecycle, access_key: str) -> None:
        self._world = world
        self._lifecycle = lifecycle
        self._access_key = access_key
        self._operations: dict[tuple[str, str], Callable[[Json], Json]] = {
            (_ECS, "CreateCluster"): lambda r: tasks.create_cluster(world, r),
            (_ECS, "DescribeClusters"): lambda r: tasks.describe_clusters(world, r),
            (_ECS, "RegisterTaskDefinition"): lambda r: definitions.register(world, r),
            (_ECS, "DescribeTaskDefinition"): lambda r: definitions.describe(world, r),
            (_ECS, "ListTaskDefinitions"): lambda r: definitions.list_definitions(world, r),
            (_ECS, "ListTaskDefinitionFamilies"): lambda r: definitions.list_families(world, r),
            (_ECS, "DeregisterTaskDefinition"): lambda r: definitions.deregister(world, r),
            (_ECS, "DeleteTaskDefinitions"): lambda r: definitions.delete(world, r),
            (_ECS, "RunTask"): lambda r: runtask.run(world, lifecycle, r),
            (_ECS, "DescribeTasks"): lambda r: tasks.describe(world, r),
            (_ECS, "ListTasks"): lambda r: tasks.list_tasks(world, r),
            (_ECS, "StopTask"): lambda r: tasks.stop(world, lifecycle, r),
            ("Logs_20140328", "GetLogEvents"): lambda r: logs.get_events(world, lifecycle, r),
            ("Logs_20140328", "DescribeLogGroups"): lambda r: logs.describe_groups(world, r),
            ("ServiceQuotasV20190624", "GetServiceQuota"): lambda r: neighbours.get_quota(world, r),
            ("AmazonEC2ContainerRegistry_V20150921", "DescribeImages"): (
                lambda r: neighbours.describe_images(world, r)
            ),
        }

    def call(self, target: str, request: Json) -> Json:
        """One call of a JSON API. Raises `AwsError` for an error answer, `HungUp` for none."""
        prefix, _, name = target.partition(".")
        operation = self._operations.get((prefix, name))
        if operation is None:
            raise AwsError("UnknownOperationException", f"The stand-in has no {target}.")
        self._world.stats[f"calls {name}"] += 1
        if prefix != _ECS:
            return operation(request)
        self._refuse_first(name)
        answer = operation(request)
        self._lose(name)
        return answer

    def call_form(self, service: str, form: Mapping[str, str]) -> str:
        """One call of a query API."""
        with self._world.changed:
            return neighbours.answer_form(self._world, service, form)

    def order(self, method: str, path: str, body: Json) -> Json:
        """One call of the control endpoint."""
        return control(self._world, self._lifecycle, method, path, body)

    def admit(self, authorization: str) -> None:
        """Let in who has the key. Raises the error that AWS has for unknown credentials."""
        found = _CREDENTIAL.search(authorization)
        given = found.group(1) if found else authorization.removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._access_key.encode()):
            raise AwsError(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            )

    def _refuse_first(self, name: str) -> None:
        """Throttling, and the faults that strike before the work."""
        with self._world.changed:
            now, faults = self._world.clock.now(), self._world.faults
            self._world.spend(name)
            if faults.pick(("throttle",), name, now):
                self._world.stats[f"throttled {name}"] += 1
                raise AwsError("ThrottlingException", "Rate exceeded")
            if fault := faults.pick(("error",), name, now):
                raise AwsError(
                    fault.code, fault.message or "Service Unavailable", status=fault.status
                )

    def _lose(self, name: str) -> None:
        """The faults that strike once the work is done."""
        with self._world.changed:
            now, faults = self._world.clock.now(), self._world.faults
            if fault := faults.pick(("slow_reply",), name, now):
                self._world.linger(fault.after_s)
            if fault := faults.pick(("lost_reply",), name, now):
                self._world.stats[f"lost replies {name}"] += 1
                if fault.cut:
                    raise HungUp
                raise AwsError("ServerException", "Service Unavailable", status=500)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    dispatch: Dispatch


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    #: Seconds a connection may be idle, so that threads of forgotten clients end.
    timeout = 60
    #: Head and body leave in one segment: apart, the second waits 40 ms for the client's delayed ACK.
    wbufsize = 65_536
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """GET exists on the control endpoint only."""
        self._serve()

    def do_POST(self) -> None:
        """POST is every AWS call."""
        self._serve()

    def do_DELETE(self) -> None:
        """DELETE exists on the control endpoint only."""
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: callers log their own calls."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _BODY_MAX:
            self.send_error(413)
            return
        body = self.rfile.read(length)
        try:
            status, kind, answer = self._answer(body)
        except HungUp:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        self.end_headers()
        self.wfile.write(answer)

    def _answer(self, body: bytes) -> tuple[int, str, bytes]:
        dispatch = self.server.dispatch
        target = self.headers.get("X-Amz-Target")
        authorization = self.headers.get("Authorization", "")
        service = _read_service(authorization)
        try:
            dispatch.admit(authorization)
            if self.path.startswith("/_standin"):
                return _as_json(dispatch.order(self.command, self.path, _read_json(body)))
            if target is None:
                form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
                return 200, "text/xml", dispatch.call_form(service, form).encode()
            return _as_json(dispatch.call(target, _read_json(body)))
        except AwsError as error:
            if target is None and service:
                return error.status, "text/xml", neighbours.show_error(service, error).encode()
            shown = {"__type": error.code, "message": error.message, **error.extra}
            return _as_json(shown, error.status)


def _read_service(authorization: str) -> str:
    """The AWS service that a signature is for; empty without one."""
    found = _CREDENTIAL.search(authorization)
    return found.group(2) if found else ""


def _read_json(body: bytes) -> Json:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise AwsError("SerializationException", "The body is not a JSON object.")
    return value


def _as_json(value: Json, status: int = 200) -> tuple[int, str, bytes]:
    return status, "application/x-amz-json-1.1", json.dumps(value).encode()
