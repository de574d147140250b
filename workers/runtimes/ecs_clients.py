"""AWS clients with explicit patience. Make them after a fork: connections must not be shared by processes."""

from __future__ import annotations

import logging
from typing import Any

import boto3
from botocore.config import Config

from workers.runtimes.ecs_settings import EcsSettings


def make_config(settings: EcsSettings) -> Config:
    """Timeouts and retries of every client.

    Two tries of at most `connect_timeout_s` + `read_timeout_s` each stay below the hard limit of a step (30 s);
    what is still unknown then is the engine's to repeat, with the same client token.
    """
    return Config(
        connect_timeout=settings.connect_timeout_s,
        read_timeout=settings.read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=4,
        user_agent_extra="charger-gateway",
    )


def make_client(settings: EcsSettings, service: str) -> Any:
    """A boto3 client. AWS_ENDPOINT_URL and the usual credential sources are honoured by boto3 itself."""
    # At DEBUG it tells whole requests: bootstrap token, session token and signature.
    level = logging.getLogger().getEffectiveLevel()
    logging.getLogger("botocore").setLevel(max(logging.INFO, level))
    session = boto3.Session(region_name=settings.region or None)
    return session.client(service, config=make_config(settings))
