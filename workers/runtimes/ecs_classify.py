"""From what AWS said to a verdict: applies the tables of `ecs_verdicts.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from botocore import exceptions as aws

from workers.runtimes.base import End
from workers.runtimes.ecs_verdicts import (
    API_ROWS,
    CREDENTIALS,
    FAILURE_ROWS,
    INVALID,
    STOP_ROWS,
    STOPPED_ELSEWHERE,
    UNAVAILABLE,
    Row,
    Verdict,
)

_TEXT_MAX: Final = 1500
_NO_CREDENTIALS: Final = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.TokenRetrievalError,
)


def classify_error(error: Exception) -> Verdict:
    """What an exception of a boto3 client means. Everything unknown is transient."""
    if isinstance(error, aws.ClientError):
        answer = error.response.get("Error", {})
        return find_verdict(API_ROWS, str(answer.get("Code", "")), str(answer.get("Message", "")))
    if isinstance(error, _NO_CREDENTIALS):
        return CREDENTIALS
    if isinstance(error, aws.ParamValidationError | aws.NoRegionError | aws.InvalidRegionError):
        return INVALID
    return UNAVAILABLE


def classify_failures(failures: Sequence[Mapping[str, Any]]) -> Verdict:
    """What RunTask's `failures[]` mean; the first says it, we ask for one task."""
    first = failures[0] if failures else {}
    reason, detail = str(first.get("reason") or ""), str(first.get("detail") or "")
    return find_verdict(FAILURE_ROWS, "", f"{reason} {detail}".strip())


def classify_stop(task: Mapping[str, Any], install_id: str) -> End:
    """The final facts of a stopped task; `stoppedReason`, reasons and exit code may all be missing.

    `install_id` begins the reason of every StopTask that is ours.
    """
    code = str(task.get("stopCode") or "")
    reason = str(task.get("stoppedReason") or "")
    containers = task.get("containers") or []
    reasons = [str(c["reason"]) for c in containers if c.get("reason")]
    exit_code = next((c["exitCode"] for c in containers if c.get("exitCode") is not None), None)
    text = " ".join([reason, *(r for r in reasons if r != reason)]).strip()
    verdict = find_verdict(STOP_ROWS, code, text, exit_code)
    if code == "UserInitiated" and not reason.startswith(f"{install_id}:"):
        verdict = STOPPED_ELSEWHERE
    return End(
        kind=verdict.kind,
        code=verdict.code,
        message=explain(verdict, text),
        exit_code=exit_code,
        facts={
            "stop_code": code or None,
            "stopped_reason": reason or None,
            "container_reasons": reasons,
        },
    )


def find_verdict(
    rows: Sequence[Row], given: str, text: str, exit_code: int | None = None
) -> Verdict:
    """The verdict of the first row that matches; every table ends with one that always does."""
    return next(row.verdict for row in rows if row.matches(given, text, exit_code))


def explain(verdict: Verdict, said: str) -> str:
    """Our sentences, then what AWS said."""
    said = said.strip()[:_TEXT_MAX]
    return f"{verdict.advice} AWS said: {said}" if said else verdict.advice
