"""What everything that ECS can say means to a charger: tables, and nothing else.

A row matches by the code that AWS gives (exact, empty for any) and a pattern in its text (case-insensitive,
empty for any). The first row that matches decides; the last row of each table matches everything, and is
transient: the engine caps what it repeats. `code` is our stable `error.code` with a heading of the same name in
`docs/errors.md`. Sources: the ECS developer guide ("Stopped tasks error codes", "API failure reasons") and the
trackers named in `docs/ecs.md`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from workers.runtimes.base import EndClass

EXPECTED, TRANSIENT = EndClass.EXPECTED, EndClass.TRANSIENT
SLOW, PERMANENT = EndClass.SLOW, EndClass.PERMANENT


@dataclass(frozen=True)
class Verdict:
    """What it means."""

    kind: EndClass
    #: Our stable error code.
    code: str
    #: One sentence for people; what AWS said follows it.
    message: str
    #: What to do about it, for whoever runs the gateway.
    hint: str | None = None

    @property
    def advice(self) -> str:
        """The sentence, and what to do."""
        return f"{self.message} {self.hint}" if self.hint else self.message


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    #: The AWS code: an exception's name or a stopCode.
    given: str
    #: Pattern in the text.
    text: str
    verdict: Verdict
    #: Exit code of the container, where it matters.
    exit_code: int | None = None

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """`text`, compiled."""
        return re.compile(self.text, re.IGNORECASE | re.DOTALL)

    def matches(self, given: str, text: str, exit_code: int | None = None) -> bool:
        """Whether this row speaks about it."""
        return (
            self.given in ("", given)
            and self.exit_code in (None, exit_code)
            and self.pattern.search(text) is not None
        )


THROTTLED: Final = Verdict(
    SLOW,
    "ecs_throttled",
    "AWS limits how fast its API may be called.",
    "Many chargers start or stop at once, or others use the same account; it goes on by itself.",
)
UNAVAILABLE: Final = Verdict(TRANSIENT, "ecs_unavailable", "AWS did not answer as it should.")
DENIED: Final = Verdict(
    PERMANENT,
    "ecs_access_denied",
    "AWS does not allow this call.",
    "Give the gateway's role the policy of deploy/aws/gateway.yaml and run `gateway doctor`.",
)
CREDENTIALS: Final = Verdict(
    SLOW,
    "ecs_credentials_invalid",
    "The gateway's AWS credentials are missing, expired or wrong.",
    "Renew the credentials of the workers; chargers go on by themselves afterwards.",
)
INACTIVE: Final = Verdict(
    TRANSIENT,
    "ecs_definition_inactive",
    "The task definition was removed in AWS and is registered again.",
)
CONFLICT: Final = Verdict(
    TRANSIENT, "ecs_token_conflict", "This start was made before with other parameters."
)
TASK_GONE: Final = Verdict(EXPECTED, "ecs_task_gone", "ECS knows no such task (any more).")
BLOCKED: Final = Verdict(
    PERMANENT,
    "ecs_account_blocked",
    "AWS has blocked this account.",
    "Ask AWS Support why the account may not run tasks.",
)
PLATFORM: Final = Verdict(
    PERMANENT,
    "ecs_platform_unsupported",
    "Fargate cannot run this task as it is configured.",
    "Check architecture, size and region of the ECS settings.",
)
NETWORK: Final = Verdict(
    PERMANENT,
    "ecs_network_invalid",
    "AWS does not accept the subnets or security groups.",
    "Check GATEWAY_ECS_SUBNETS and GATEWAY_ECS_SECURITY_GROUPS: they must exist in one VPC.",
)
INVALID: Final = Verdict(
    PERMANENT,
    "ecs_request_invalid",
    "AWS does not accept the request.",
    "Check the ECS settings with `gateway doctor`.",
)
NO_CLUSTER: Final = Verdict(
    PERMANENT,
    "ecs_cluster_missing",
    "The ECS cluster does not exist.",
    "Check GATEWAY_ECS_CLUSTER and the region.",
)
CAPACITY: Final = Verdict(
    SLOW,
    "capacity_unavailable",
    "AWS has no room for the task at the moment.",
    "AWS is short of this kind of capacity; it is tried again until there is room.",
)
QUOTA: Final = Verdict(
    SLOW,
    "ecs_quota_reached",
    "The account runs as many vCPUs as it may.",
    "Ask for a higher quota 'Fargate On-Demand vCPU resource count', or stop other tasks; "
    "this charger starts when there is room.",
)
SIZE: Final = Verdict(
    PERMANENT,
    "ecs_size_refused",
    "The task is bigger than this account may run.",
    "Choose a smaller GATEWAY_ECS_CPU and GATEWAY_ECS_MEMORY_MIB or ask for a higher quota.",
)
PLACEMENT: Final = Verdict(
    SLOW, "ecs_placement_failed", "ECS could not place the task.", "It is tried again."
)
START_FAILED: Final = Verdict(
    TRANSIENT, "ecs_start_failed", "AWS could not set up the task; this happens now and then."
)
SUBNET_FULL: Final = Verdict(
    SLOW,
    "ecs_subnet_full",
    "A subnet has no free addresses.",
    "Add subnets to GATEWAY_ECS_SUBNETS or stop what else uses their addresses.",
)
TAG_POLICY: Final = Verdict(
    SLOW,
    "ecs_tag_policy",
    "A tag policy of the organization refuses the task's network interface.",
    "Allow the gw: tags in the tag policy.",
)
LOOPBACK_LINK: Final = Verdict(
    PERMANENT,
    "ecs_link_unreachable",
    "Tasks in AWS cannot reach a link on this machine's own loopback address.",
    "Set GATEWAY_ECS_LINK_URL to an address that the tasks' subnets reach (docs/ecs.md).",
)
IMAGE_NOT_FOUND: Final = Verdict(
    PERMANENT,
    "image_not_found",
    "The simulator's image does not exist.",
    "Push it, or correct GATEWAY_ECS_IMAGE.",
)
IMAGE_DENIED: Final = Verdict(
    PERMANENT,
    "image_pull_denied",
    "The registry does not give the simulator's image to the task.",
    "Check GATEWAY_ECS_IMAGE, and that the execution role may read its repository.",
)
IMAGE_WRONG: Final = Verdict(
    PERMANENT,
    "image_pull_failed",
    "The simulator's image cannot be used.",
    "Check that it is built for GATEWAY_ECS_ARCHITECTURE and fits the task's disk.",
)
PULL_INTERRUPTED: Final = Verdict(
    TRANSIENT,
    "image_pull_interrupted",
    "Pulling the simulator's image was interrupted.",
    "If it stays so, the subnets have no way to the registry (NAT, endpoints or a public IP).",
)
RESOURCES_DENIED: Final = Verdict(
    PERMANENT,
    "ecs_resources_denied",
    "The task could not get what it needs before its start (log group, secret, registry).",
    "Check the log group and the execution role.",
)
RESOURCES_UNREACHABLE: Final = Verdict(
    TRANSIENT,
    "ecs_resources_unreachable",
    "The task could not reach AWS before its start.",
    "If it stays so, the subnets need a NAT gateway, VPC endpoints or a public IP.",
)
CONTAINER_FAILED: Final = Verdict(
    PERMANENT,
    "container_start_failed",
    "The simulator's container cannot be started.",
    "Check that the image holds the simulator and runs on this architecture.",
)
OOM: Final = Verdict(
    TRANSIENT,
    "out_of_memory",
    "The simulator ran out of memory.",
    "Choose a bigger GATEWAY_ECS_MEMORY_MIB.",
)
CRASHED: Final = Verdict(TRANSIENT, "runtime_crashed", "The simulator ended with an error.")
EXITED: Final = Verdict(TRANSIENT, "runtime_exited", "The simulator ended without being asked to.")
INFRASTRUCTURE: Final = Verdict(
    TRANSIENT, "infrastructure_lost", "AWS took the machine away under the task."
)
STOPPED: Final = Verdict(EXPECTED, "runtime_stopped", "The task was stopped as ordered.")
KILLED: Final = Verdict(
    EXPECTED, "runtime_killed", "The task was stopped as ordered, but had to be killed."
)
STOPPED_ELSEWHERE: Final = Verdict(
    TRANSIENT, "stopped_elsewhere", "Somebody stopped the task in AWS, not through this gateway."
)
LOST: Final = Verdict(TRANSIENT, "runtime_lost", "ECS does not know the task any more.")
ENDED: Final = Verdict(TRANSIENT, "runtime_ended", "The task ended for a reason that is new to us.")

_RATE: Final = r"rate exceeded|rate limit|throttl|too many requests"

#: An error answer of the API: exception, text.
API_ROWS: Final = (
    Row("ThrottlingException", "", THROTTLED),
    Row("Throttling", "", THROTTLED),
    Row("RequestLimitExceeded", "", THROTTLED),
    Row("TooManyRequestsException", "", THROTTLED),
    # EC2 throttles reach us in other clothes (dagster #33439).
    Row("InvalidParameterException", _RATE, THROTTLED),
    Row("ClientException", _RATE, THROTTLED),
    Row("ServerException", _RATE, THROTTLED),
    Row("ServerException", "", UNAVAILABLE),
    Row("InternalFailure", "", UNAVAILABLE),
    Row("InternalError", "", UNAVAILABLE),
    Row("ServiceUnavailable", "", UNAVAILABLE),
    Row("ServiceUnavailableException", "", UNAVAILABLE),
    Row("ClientException", "too many concurrent attempts", UNAVAILABLE),
    Row("ClientException", "taskdefinition is inactive|taskdefinition not found", INACTIVE),
    Row("ClientException", "unable to describe task definition", INACTIVE),
    Row("InvalidParameterException", "taskdefinition is inactive", INACTIVE),
    Row("ConflictException", "", CONFLICT),
    Row("InvalidParameterException", "referenced task was not found", TASK_GONE),
    Row("ClusterNotFoundException", "", NO_CLUSTER),
    Row("AccessDeniedException", "", DENIED),
    Row("AccessDenied", "", DENIED),
    Row("UnauthorizedOperation", "", DENIED),
    Row("ClientException", "not authorized|unable to assume", DENIED),
    Row("ExpiredTokenException", "", CREDENTIALS),
    Row("ExpiredToken", "", CREDENTIALS),
    Row("UnrecognizedClientException", "", CREDENTIALS),
    Row("InvalidClientTokenId", "", CREDENTIALS),
    Row("InvalidSignatureException", "", CREDENTIALS),
    Row("MissingAuthenticationTokenException", "", CREDENTIALS),
    Row("IncompleteSignature", "", CREDENTIALS),
    Row("BlockedException", "", BLOCKED),
    Row("PlatformUnknownException", "", PLATFORM),
    Row("PlatformTaskDefinitionIncompatibilityException", "", PLATFORM),
    Row("UnsupportedFeatureException", "", PLATFORM),
    Row("OptInRequired", "", PLATFORM),
    Row("InvalidParameterException", "subnet|security group|network configuration", NETWORK),
    Row("InvalidParameterException", "", INVALID),
    Row("ClientException", "", INVALID),
    Row("ValidationException", "", INVALID),
    Row("SerializationException", "", INVALID),
    Row("", "", UNAVAILABLE),
)

#: An entry of RunTask's `failures[]`: reason and detail.
FAILURE_ROWS: Final = (
    Row("", "limit on the number of", QUOTA),
    Row("", "configuration is above your limit|above your limit", SIZE),
    Row("", "capacity is unavailable|insufficient capacity|no capacity", CAPACITY),
    Row("", "blocked", BLOCKED),
    Row("", "^resource:", CAPACITY),
    Row("", "^agent", CAPACITY),
    Row("", "^location", CAPACITY),
    Row("", "^attribute", PLATFORM),
    Row("", "^(missing|inactive)", PLACEMENT),
    Row("", _RATE, THROTTLED),
    Row("", "", PLACEMENT),
)

_PULL_PASSING: Final = (
    r"cannotpullcontainer.*(i/o timeout|\bEOF\b|invalid argument|toomanyrequests|too many requests|"
    r"rate limit|tls handshake|connection reset|connection refused|context deadline|context canceled|"
    r"no such host|50[0234]|internal server error)"
)
_PULL_WRONG: Final = r"cannotpull.*(no matching manifest|platform|no space left|invalid reference)"
_PULL_DENIED: Final = r"cannotpull.*(denied|no basic auth|unauthorized|authorization|403|forbidden)"
_PULL_MISSING: Final = r"cannotpull.*(not found|manifest unknown|does not exist|name unknown)"
_INIT_PASSING: Final = (
    r"resourceinitialization.*(i/o timeout|context deadline|timed out|timeout|netplugin|"
    r"failed to configure eni|signal: killed|connection refused|connection reset|dial tcp)"
)
_INIT_DENIED: Final = (
    r"resourceinitialization.*(accessdenied|access denied|not authorized|resourcenotfound|"
    r"can't find the specified secret|does not exist|failed to validate logger args|invalid)"
)

#: A task that stopped: stopCode; stoppedReason and container reasons, joined; exit code.
STOP_ROWS: Final = (
    Row("", "outofmemory", OOM),
    Row("SpotInterruption", "", INFRASTRUCTURE),
    Row("TerminationNotice", "", INFRASTRUCTURE),
    Row("InfrastructureHealth", "", INFRASTRUCTURE),
    Row("TaskFailedToStart", "insufficientfreeaddresses", SUBNET_FULL),
    Row("TaskFailedToStart", "tagpolicyviolation", TAG_POLICY),
    Row(
        "TaskFailedToStart",
        "timeout waiting for (network interface|ephemeralstorage)",
        START_FAILED,
    ),
    Row("TaskFailedToStart", "unexpected ec2 error", START_FAILED),
    Row("TaskFailedToStart", "rate (limit )?exceeded", START_FAILED),
    Row("TaskFailedToStart", "network interface", START_FAILED),
    Row("TaskFailedToStart", "internalerror|containerruntimetimeout|dockertimeout", START_FAILED),
    Row("TaskFailedToStart", "cannotstartcontainer|cannotcreatecontainer", CONTAINER_FAILED),
    Row("TaskFailedToStart", "cannotcreatevolume|cannotinspect|platformunknown", CONTAINER_FAILED),
    Row("", _PULL_PASSING, PULL_INTERRUPTED),
    Row("", _PULL_WRONG, IMAGE_WRONG),
    # Docker Hub says "access denied or repository does not exist": it tells no more to strangers.
    Row("", _PULL_DENIED, IMAGE_DENIED),
    Row("", _PULL_MISSING, IMAGE_NOT_FOUND),
    Row("", "cannotpull", PULL_INTERRUPTED),
    Row("", _INIT_PASSING, RESOURCES_UNREACHABLE),
    Row("", _INIT_DENIED, RESOURCES_DENIED),
    Row("", "resourceinitialization", RESOURCES_UNREACHABLE),
    Row("TaskFailedToStart", "capacity is unavailable|capacity", CAPACITY),
    # Half an hour in PROVISIONING without a container (prefect #22410): nobody had room.
    Row("TaskFailedToStart", r"^\s*$", CAPACITY),
    Row("TaskFailedToStart", "", START_FAILED),
    Row("UserInitiated", "", KILLED, exit_code=137),
    Row("UserInitiated", "", STOPPED),
    Row("EssentialContainerExited", "", EXITED, exit_code=0),
    # 128 + SIGTERM: told to end by somebody who is not ECS's StopTask.
    Row("EssentialContainerExited", "", EXITED, exit_code=143),
    Row("EssentialContainerExited", "", CRASHED),
    Row("ServiceSchedulerInitiated", "", STOPPED_ELSEWHERE),
    Row("", "", ENDED),
)
