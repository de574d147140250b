"""The one exception of the stand-in: an error answer of an AWS API."""

from __future__ import annotations

from typing import Any


class AwsError(Exception):
    """What the client gets instead of a result: `code`, `message`, HTTP `status` and further fields."""

    def __init__(self, code: str, message: str, *, status: int = 400, **extra: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.extra = extra


def refuse(message: str) -> AwsError:
    """The error that ECS has for a parameter it cannot accept."""
    return AwsError("InvalidParameterException", message)


def blame(message: str) -> AwsError:
    """The error that ECS has for what the client did, parameters being well-formed."""
    return AwsError("ClientException", message)


class HungUp(Exception):
    """The connection is closed without an answer; the client cannot know what happened."""
