"""What AWS says and what it means: an example for every row of the tables, and for what no row knows."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions as aws

from workers.runtimes import ecs_verdicts as tables
from workers.runtimes.base import EndClass
from workers.runtimes.ecs_classify import classify_error, classify_failures, classify_stop
from workers.runtimes.ecs_verdicts import API_ROWS, FAILURE_ROWS, STOP_ROWS, Row, Verdict

ERRORS_PAGE = Path(__file__).parents[3] / "docs" / "errors.md"

#: Exception, text, our code.
API_EXAMPLES = [
    ("ThrottlingException", "Rate exceeded", "ecs_throttled"),
    ("Throttling", "Rate exceeded", "ecs_throttled"),
    ("RequestLimitExceeded", "Request limit exceeded.", "ecs_throttled"),
    ("TooManyRequestsException", "", "ecs_throttled"),
    (
        "InvalidParameterException",
        "Error retrieving subnet information for [subnet-1]: Rate exceeded (ErrorCode: Throttling)",
        "ecs_throttled",
    ),
    ("ClientException", "Too many requests", "ecs_throttled"),
    ("ServerException", "Throttled", "ecs_throttled"),
    ("ServerException", "Service Unavailable. Please try again later.", "ecs_unavailable"),
    ("InternalFailure", "", "ecs_unavailable"),
    ("InternalError", "", "ecs_unavailable"),
    ("ServiceUnavailable", "", "ecs_unavailable"),
    ("ServiceUnavailableException", "", "ecs_unavailable"),
    (
        "ClientException",
        "Too many concurrent attempts to create a new revision of the specified family.",
        "ecs_unavailable",
    ),
    ("ClientException", "TaskDefinition is inactive", "ecs_definition_inactive"),
    ("ClientException", "TaskDefinition not found.", "ecs_definition_inactive"),
    ("ClientException", "Unable to describe task definition.", "ecs_definition_inactive"),
    ("InvalidParameterException", "TaskDefinition is inactive", "ecs_definition_inactive"),
    ("ConflictException", "", "ecs_token_conflict"),
    ("InvalidParameterException", "The referenced task was not found.", "ecs_task_gone"),
    ("ClusterNotFoundException", "Cluster not found.", "ecs_cluster_missing"),
    ("AccessDeniedException", "not authorized to perform: ecs:RunTask", "ecs_access_denied"),
    ("AccessDenied", "", "ecs_access_denied"),
    ("UnauthorizedOperation", "", "ecs_access_denied"),
    ("ClientException", "ECS was unable to assume the role 'gw'", "ecs_access_denied"),
    ("ExpiredTokenException", "", "ecs_credentials_invalid"),
    ("ExpiredToken", "", "ecs_credentials_invalid"),
    ("UnrecognizedClientException", "", "ecs_credentials_invalid"),
    ("InvalidClientTokenId", "", "ecs_credentials_invalid"),
    ("InvalidSignatureException", "Signature expired", "ecs_credentials_invalid"),
    ("MissingAuthenticationTokenException", "", "ecs_credentials_invalid"),
    ("IncompleteSignature", "", "ecs_credentials_invalid"),
    ("BlockedException", "Your account is currently blocked.", "ecs_account_blocked"),
    ("PlatformUnknownException", "", "ecs_platform_unsupported"),
    ("PlatformTaskDefinitionIncompatibilityException", "", "ecs_platform_unsupported"),
    ("UnsupportedFeatureException", "", "ecs_platform_unsupported"),
    ("OptInRequired", "", "ecs_platform_unsupported"),
    ("InvalidParameterException", "The subnet ID 'subnet-1' does not exist", "ecs_network_invalid"),
    ("InvalidParameterException", "No Container Instances were found", "ecs_request_invalid"),
    ("ClientException", "Family contains invalid characters.", "ecs_request_invalid"),
    ("ValidationException", "", "ecs_request_invalid"),
    ("SerializationException", "", "ecs_request_invalid"),
    ("SomethingNewException", "of next year", "ecs_unavailable"),
]

#: Reason, our code.
FAILURE_EXAMPLES = [
    (
        "You’ve reached the limit on the number of vCPUs you can run concurrently",  # noqa: RUF001
        "ecs_quota_reached",
    ),
    (
        "You've reached the limit on the number of tasks you can run concurrently",
        "ecs_quota_reached",
    ),
    ("The requested CPU configuration is above your limit", "ecs_size_refused"),
    (
        "Capacity is unavailable at this time. Please try again later or in a different "
        "availability zone",
        "capacity_unavailable",
    ),
    ("Your account is currently blocked.", "ecs_account_blocked"),
    ("RESOURCE:ENI", "capacity_unavailable"),
    ("AGENT", "capacity_unavailable"),
    ("LOCATION", "capacity_unavailable"),
    ("ATTRIBUTE", "ecs_platform_unsupported"),
    ("MISSING", "ecs_placement_failed"),
    ("INACTIVE", "ecs_placement_failed"),
    ("Rate limit exceeded", "ecs_throttled"),
    ("SOMETHING:NEW", "ecs_placement_failed"),
]

OURS = "gw:wfr_1"
START, EXIT, USER = "TaskFailedToStart", "EssentialContainerExited", "UserInitiated"
PULL = "CannotPullContainerError: pull image manifest has been retried 5 time(s): "
INIT = "ResourceInitializationError: "
EC2 = "Unexpected EC2 error while attempting to Create Network Interface in subnet 'subnet-1': "

#: stopCode, stoppedReason, exit code, container reason, our code.
STOP_EXAMPLES: list[tuple[str | None, str | None, int | None, str | None, str]] = [
    (EXIT, "Essential container in task exited", 137, "OutOfMemoryError: killed", "out_of_memory"),
    ("SpotInterruption", "Your Spot Task was interrupted.", 143, None, "infrastructure_lost"),
    ("TerminationNotice", "", None, None, "infrastructure_lost"),
    ("InfrastructureHealth", "", None, None, "infrastructure_lost"),
    (START, EC2 + "InsufficientFreeAddressesInSubnet", None, None, "ecs_subnet_full"),
    (START, EC2 + "TagPolicyViolation", None, None, "ecs_tag_policy"),
    (START, "Timeout waiting for network interface provisioning", None, None, "ecs_start_failed"),
    (START, "Timeout waiting for EphemeralStorage provisioning", None, None, "ecs_start_failed"),
    (START, EC2 + "AuthFailure", None, None, "ecs_start_failed"),
    (START, "Rate limit exceeded while preparing it", None, None, "ecs_start_failed"),
    (START, "Network interface was lost", None, None, "ecs_start_failed"),
    (START, "InternalError: failed to create container", None, None, "ecs_start_failed"),
    (START, "ContainerRuntimeTimeoutError: could not", None, None, "ecs_start_failed"),
    (START, "DockerTimeoutError: Could not", None, None, "ecs_start_failed"),
    (START, "CannotStartContainerError: exec failed", None, None, "container_start_failed"),
    (START, "CannotCreateVolumeError: no", None, None, "container_start_failed"),
    (START, "Task failed to start", None, "CannotStartContainerError: x", "container_start_failed"),
    (START, PULL + "failed to copy: i/o timeout", None, None, "image_pull_interrupted"),
    (START, PULL + "unexpected EOF", None, None, "image_pull_interrupted"),
    (
        START,
        PULL + "toomanyrequests: You have reached your limit",
        None,
        None,
        "image_pull_interrupted",
    ),
    (START, PULL + "no matching manifest for linux/arm64", None, None, "image_pull_failed"),
    (START, PULL + "write: no space left on device", None, None, "image_pull_failed"),
    (
        START,
        PULL + "pull access denied, repository does not exist",
        None,
        None,
        "image_pull_denied",
    ),
    (START, PULL + "no basic auth credentials", None, None, "image_pull_denied"),
    (START, PULL + "failed to resolve ref a/b:1: a/b:1: not found", None, None, "image_not_found"),
    (START, PULL + "manifest unknown", None, None, "image_not_found"),
    (START, "CannotPullContainerError: of a new kind", None, None, "image_pull_interrupted"),
    (
        START,
        INIT + "unable to pull secrets: context deadline exceeded",
        None,
        None,
        "ecs_resources_unreachable",
    ),
    (
        START,
        INIT + "failed to configure ENI: netplugin failed",
        None,
        None,
        "ecs_resources_unreachable",
    ),
    (
        START,
        INIT + "unable to pull secrets: AccessDeniedException",
        None,
        None,
        "ecs_resources_denied",
    ),
    (START, INIT + "failed to validate logger args: group", None, None, "ecs_resources_denied"),
    (START, INIT + "of a new kind", None, None, "ecs_resources_unreachable"),
    (START, "Capacity is unavailable at this time", None, None, "capacity_unavailable"),
    (START, "", None, None, "capacity_unavailable"),
    (START, None, None, None, "capacity_unavailable"),
    (START, "a reason of next year", None, None, "ecs_start_failed"),
    (USER, OURS, 137, None, "runtime_killed"),
    (USER, OURS, 143, None, "runtime_stopped"),
    (USER, OURS, 0, None, "runtime_stopped"),
    (USER, OURS, None, None, "runtime_stopped"),
    (USER, "Task stopped by user", 0, None, "stopped_elsewhere"),
    (USER, "gw-other:wfr_1", 0, None, "stopped_elsewhere"),
    (EXIT, "Essential container in task exited", 0, None, "runtime_exited"),
    (EXIT, "Essential container in task exited", 143, None, "runtime_exited"),
    (EXIT, "Essential container in task exited", 1, None, "runtime_crashed"),
    (EXIT, None, None, None, "runtime_crashed"),
    ("ServiceSchedulerInitiated", "Scaling activity", 0, None, "stopped_elsewhere"),
    ("SomethingNew", "of next year", None, None, "runtime_ended"),
    (None, None, None, None, "runtime_ended"),
]


def error(code: str, message: str) -> aws.ClientError:
    return aws.ClientError({"Error": {"Code": code, "Message": message}}, "RunTask")


def task(
    code: str | None, reason: str | None, exit_code: int | None, container: str | None
) -> dict[str, Any]:
    shown = {"name": "simulator", "exitCode": exit_code, "reason": container}
    given = {"stopCode": code, "stoppedReason": reason}
    return {
        **{name: value for name, value in given.items() if value is not None},
        "containers": [{name: value for name, value in shown.items() if value is not None}],
    }


@pytest.mark.parametrize(("code", "message", "expected"), API_EXAMPLES)
def test_an_error_of_the_api_has_one_meaning(code: str, message: str, expected: str) -> None:
    assert classify_error(error(code, message)).code == expected


@pytest.mark.parametrize(("reason", "expected"), FAILURE_EXAMPLES)
def test_a_refusal_to_place_has_one_meaning(reason: str, expected: str) -> None:
    assert classify_failures([{"reason": reason}]).code == expected


@pytest.mark.parametrize(("code", "reason", "exit_code", "container", "expected"), STOP_EXAMPLES)
def test_an_end_has_one_meaning(
    code: str | None,
    reason: str | None,
    exit_code: int | None,
    container: str | None,
    expected: str,
) -> None:
    end = classify_stop(task(code, reason, exit_code, container), "gw")
    assert end.code == expected
    assert end.exit_code == exit_code
    assert end.retryable
    assert (reason or "") in end.message


def test_every_row_of_every_table_decides_an_example() -> None:
    decided: set[tuple[int, int]] = set()

    def note(rows: tuple[Row, ...], given: str, text: str, exit_code: int | None = None) -> None:
        number = next(n for n, row in enumerate(rows) if row.matches(given, text, exit_code))
        decided.add((id(rows), number))

    for code, message, _ in API_EXAMPLES:
        note(API_ROWS, code, message)
    for reason, _ in FAILURE_EXAMPLES:
        note(FAILURE_ROWS, "", reason)
    for stop, why, exit_code, container, _ in STOP_EXAMPLES:
        note(STOP_ROWS, stop or "", " ".join(filter(None, (why, container))), exit_code)
    missing = [
        rows[number]
        for rows in (API_ROWS, FAILURE_ROWS, STOP_ROWS)
        for number in range(len(rows))
        if (id(rows), number) not in decided
    ]
    assert missing == []


@pytest.mark.parametrize("rows", [API_ROWS, FAILURE_ROWS, STOP_ROWS])
def test_what_no_row_knows_is_not_permanent(rows: tuple[Row, ...]) -> None:
    last = rows[-1]
    assert last.matches("anything", "at all", 99)
    assert last.verdict.kind in (EndClass.TRANSIENT, EndClass.SLOW)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (aws.NoCredentialsError(), "ecs_credentials_invalid"),
        (
            aws.CredentialRetrievalError(provider="sso", error_msg="expired"),
            "ecs_credentials_invalid",
        ),
        (aws.ParamValidationError(report="bad"), "ecs_request_invalid"),
        (aws.NoRegionError(), "ecs_request_invalid"),
        (aws.EndpointConnectionError(endpoint_url="https://ecs"), "ecs_unavailable"),
        (aws.ConnectTimeoutError(endpoint_url="https://ecs"), "ecs_unavailable"),
        (aws.ReadTimeoutError(endpoint_url="https://ecs"), "ecs_unavailable"),
        (aws.ConnectionClosedError(endpoint_url="https://ecs"), "ecs_unavailable"),
        (aws.SSLError(endpoint_url="https://ecs", error="bad"), "ecs_unavailable"),
    ],
)
def test_a_call_that_got_no_answer_has_one_meaning(raised: Exception, expected: str) -> None:
    assert classify_error(raised).code == expected


def test_an_end_without_containers_is_told(  # ECS leaves out what it does not know
) -> None:
    assert classify_stop({"stopCode": START, "containers": []}, "gw").code == "capacity_unavailable"
    assert classify_stop({}, "gw").code == "runtime_ended"


def test_a_refusal_without_a_reason_is_told() -> None:
    assert classify_failures([]).code == "ecs_placement_failed"
    assert classify_failures([{}]).code == "ecs_placement_failed"


def list_verdicts() -> list[Verdict]:
    return [value for value in vars(tables).values() if isinstance(value, Verdict)]


@pytest.mark.parametrize("verdict", list_verdicts(), ids=lambda verdict: verdict.code)
def test_every_code_has_a_heading_and_is_told_in_sentences(verdict: Verdict) -> None:
    headings = re.findall(r"^#+ `?(\w+)`?$", ERRORS_PAGE.read_text(), flags=re.MULTILINE)
    assert verdict.code in headings
    assert verdict.message.endswith(".")
    assert verdict.hint is None or verdict.hint.endswith(".")
    assert re.fullmatch(r"[a-z_]+", verdict.code)


def test_what_needs_somebody_says_what_to_do() -> None:
    assert [v.code for v in list_verdicts() if v.kind is EndClass.PERMANENT and not v.hint] == []


def test_no_code_has_two_meanings() -> None:
    by_code = itertools.groupby(sorted(list_verdicts(), key=lambda v: v.code), lambda v: v.code)
    assert [code for code, same in by_code if len(list(same)) > 1] == []
