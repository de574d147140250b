"""Looks at an AWS account before chargers do: what is there, what is missing, and what to do about it.

Each check takes the client that it asks and returns findings; `examine` runs all of them. A check that the
credentials do not allow is a warning: the gateway's own policy needs none of the reading rights used here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from workers.runtimes.base import RuntimeRejected
from workers.runtimes.ecs_cost import describe_cost
from workers.runtimes.ecs_request import choose_link_url
from workers.runtimes.ecs_settings import EcsSettings
from workers.runtimes.findings import Finding, Level

#: Service Quotas, service `fargate`: vCPUs of tasks on demand and on Spot.
_QUOTAS: Final = {"fargate": "L-3032A538", "fargate_spot": "L-36FBB829"}
_ECR: Final = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<name>[^:@]+)"
    r"(:(?P<tag>[^@]+))?(@(?P<digest>.+))?"
)
_FEW_ADDRESSES: Final = 20
_DENIED: Final = (
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnauthorizedException",
)


MakeClient = Callable[[str], Any]


def examine(settings: EcsSettings, make_client: MakeClient, link_url: str) -> list[Finding]:
    """Every finding, in the order in which one would mend them.

    `make_client`: boto3 service name → client. `link_url`: what GATEWAY_LINK_URL says.
    """
    findings = check_credentials(make_client)
    if findings[-1].level is Level.FAIL:
        return findings
    checks: Sequence[tuple[str, Callable[[], Finding]]] = (
        ("cluster", lambda: check_cluster(make_client("ecs"), settings)),
        ("subnets", lambda: check_subnets(make_client("ec2"), settings)),
        ("security groups", lambda: check_security_groups(make_client("ec2"), settings)),
        ("roles", lambda: check_roles(make_client("iam"), settings)),
        ("image", lambda: check_image(make_client, settings)),
        ("log group", lambda: check_log_group(make_client("logs"), settings)),
        ("quota", lambda: check_quota(make_client("service-quotas"), settings)),
    )
    findings += [_guard(subject, check) for subject, check in checks]
    findings.append(check_link(settings, link_url))
    findings.append(Finding(Level.OK, "cost", describe_cost(settings)))
    return findings


def check_credentials(make_client: MakeClient) -> list[Finding]:
    """Who the workers are in AWS, and in which region."""
    try:
        client = make_client("sts")
        caller = client.get_caller_identity()
    except NoRegionError:
        return [_fail("region", "No region is set.", "Set GATEWAY_ECS_REGION or AWS_REGION.")]
    except NoCredentialsError:
        return [
            _fail(
                "credentials",
                "No AWS credentials are found.",
                "Give the workers a role, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            )
        ]
    except (ClientError, BotoCoreError) as error:
        return [_fail("credentials", f"AWS does not accept them: {error}", "Renew them.")]
    region = str(client.meta.region_name)
    return [
        Finding(Level.OK, "region", f"{region}."),
        Finding(Level.OK, "credentials", f"{caller['Arn']}."),
    ]


def check_cluster(client: Any, settings: EcsSettings) -> Finding:
    """Whether the cluster is there and can do what the settings ask."""
    answer = client.describe_clusters(clusters=[settings.cluster])
    active = [c for c in answer.get("clusters", []) if c.get("status") == "ACTIVE"]
    if not active:
        return _fail(
            "cluster",
            f"There is no active cluster {settings.cluster}.",
            "Create it (deploy/aws/gateway.yaml) or correct GATEWAY_ECS_CLUSTER.",
        )
    wanted = {"fargate_spot": "FARGATE_SPOT", "ec2": settings.capacity_provider}.get(
        settings.launch
    )
    if wanted and wanted not in active[0].get("capacityProviders", []):
        return _fail(
            "cluster",
            f"The cluster {settings.cluster} has no capacity provider {wanted}.",
            "Add it with ecs:PutClusterCapacityProviders.",
        )
    running = active[0].get("runningTasksCount", 0)
    return Finding(Level.OK, "cluster", f"{settings.cluster} is active, {running} tasks run.")


def check_subnets(client: Any, settings: EcsSettings) -> Finding:
    """Whether the subnets are there, in one VPC, with addresses left: each task needs one."""
    answer = client.describe_subnets(SubnetIds=list(settings.subnets))
    subnets = answer.get("Subnets", [])
    if len({subnet.get("VpcId") for subnet in subnets}) > 1:
        return _fail(
            "subnets", "The subnets are of several VPCs.", "Choose GATEWAY_ECS_SUBNETS of one VPC."
        )
    free = sum(int(subnet.get("AvailableIpAddressCount", 0)) for subnet in subnets)
    message = f"{len(subnets)} subnets with {free} free addresses: one for each charger."
    if free < _FEW_ADDRESSES:
        return Finding(Level.WARN, "subnets", message, "Add larger subnets.")
    return Finding(Level.OK, "subnets", message)


def check_security_groups(client: Any, settings: EcsSettings) -> Finding:
    """Whether the groups are there. Without any, the VPC's default group is used."""
    if not settings.security_groups:
        return Finding(
            Level.WARN,
            "security groups",
            "None is set, so tasks get the default group of the VPC.",
            "Set GATEWAY_ECS_SECURITY_GROUPS to one that only lets out (deploy/aws/gateway.yaml).",
        )
    client.describe_security_groups(GroupIds=list(settings.security_groups))
    return Finding(Level.OK, "security groups", f"{', '.join(settings.security_groups)}.")


def check_roles(client: Any, settings: EcsSettings) -> Finding:
    """Whether the roles that tasks get exist."""
    arns = [arn for arn in (settings.execution_role_arn, settings.task_role_arn) if arn]
    for arn in arns:
        client.get_role(RoleName=arn.rsplit("/", 1)[-1])
    names = ", ".join(arn.rsplit("/", 1)[-1] for arn in arns)
    return Finding(Level.OK, "roles", f"{names}.")


def check_image(make_client: MakeClient, settings: EcsSettings) -> Finding:
    """Whether the image is in its repository; only ECR can be asked."""
    found = _ECR.fullmatch(settings.image)
    if found is None:
        return Finding(
            Level.WARN,
            "image",
            f"{settings.image} is not in ECR, so it cannot be looked up from here.",
            "Make sure that tasks can pull it; ECR in the same region is the fastest.",
        )
    wanted = (
        {"imageDigest": found["digest"]}
        if found["digest"]
        else {"imageTag": found["tag"] or "latest"}
    )
    make_client("ecr").describe_images(
        registryId=found["account"], repositoryName=found["name"], imageIds=[wanted]
    )
    return Finding(Level.OK, "image", f"{settings.image} is there.")


def check_log_group(client: Any, settings: EcsSettings) -> Finding:
    """Whether the log group exists: a task does not start without it."""
    name = settings.log_group
    if not name:
        return Finding(
            Level.WARN,
            "log group",
            "None is set, so what a simulator writes is lost.",
            "Set GATEWAY_ECS_LOG_GROUP.",
        )
    answer = client.describe_log_groups(logGroupNamePrefix=name)
    if name not in [group.get("logGroupName") for group in answer.get("logGroups", [])]:
        return _fail("log group", f"There is no log group {name}.", "Create it.")
    return Finding(Level.OK, "log group", f"{name}.")


def check_quota(client: Any, settings: EcsSettings) -> Finding:
    """How many chargers fit into the account's quota of vCPUs."""
    code = _QUOTAS.get(settings.launch)
    if code is None:
        return Finding(Level.OK, "quota", "On EC2 the instances are the limit.")
    answer = client.get_service_quota(ServiceCode="fargate", QuotaCode=code)
    vcpus = float(answer["Quota"]["Value"])
    fit = int(vcpus / (settings.cpu / 1024))
    message = f"{vcpus:g} vCPUs may run at once in this account and region: {fit} chargers."
    if fit == 0:
        return _fail("quota", message, "Ask for more under Service Quotas, AWS Fargate.")
    if fit < 100:
        return Finding(
            Level.WARN,
            "quota",
            message,
            "For more, raise 'Fargate On-Demand vCPU resource count' under Service Quotas; "
            "other tasks of the account count too.",
        )
    return Finding(Level.OK, "quota", message)


def check_link(settings: EcsSettings, link_url: str) -> Finding:
    """Whether tasks can have a way to the link, as far as its address tells."""
    try:
        url = choose_link_url(settings, link_url)
    except RuntimeRejected as rejected:
        return _fail(
            "link address", f"{link_url} is this machine's own loopback.", str(rejected.hint)
        )
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        return _fail("link address", f"{url} is no WebSocket address.", "Use wss://host/link.")
    if parts.scheme == "ws" and "." in parts.hostname and not _is_private(parts.hostname):
        return Finding(
            Level.WARN,
            "link address",
            f"{url} is not encrypted: bootstrap tokens pass in the clear.",
            "Put a TLS load balancer or proxy before the link and use wss://.",
        )
    return Finding(
        Level.OK,
        "link address",
        f"Tasks dial {url}; that they get there shows with the first charger.",
    )


def _is_private(host: str) -> bool:
    """Whether the name or address only means something inside a network (RFC 1918, `.internal`, `.local`)."""
    return bool(
        re.match(r"(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)", host)
        or host.endswith((".internal", ".local"))
    )


def _guard(subject: str, check: Callable[[], Finding]) -> Finding:
    """Run a check; what AWS answers to it is a finding too."""
    try:
        return check()
    except ClientError as error:
        answer = error.response.get("Error", {})
        said = str(answer.get("Message", error))
        if answer.get("Code") in _DENIED:
            return Finding(
                Level.WARN,
                subject,
                f"These credentials may not look it up: {said}",
                "Nothing is wrong with that; run the doctor with a reader's credentials to be sure.",
            )
        return _fail(subject, said, f"See {subject} in docs/ecs.md.")
    except BotoCoreError as error:
        return _fail(subject, f"AWS could not be asked: {error}", "Check the way to AWS.")


def _fail(subject: str, message: str, advice: str) -> Finding:
    return Finding(Level.FAIL, subject, message, advice)
