"""The other AWS APIs that `gateway doctor` asks: STS, EC2, IAM, ECR, Service Quotas; just what it asks of them.

STS and IAM speak the query protocol, EC2 a dialect of it: parameters as a form, answers as XML. Names that the
settings do not restrict exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias
from xml.sax.saxutils import escape

from workers.standin.ecs.errors import AwsError
from workers.standin.ecs.records import Json
from workers.standin.ecs.world import World

Form: TypeAlias = Mapping[str, str]
#: Service Quotas: Fargate on-demand and Spot vCPU resource counts.
_VCPU_QUOTAS: Final = ("L-3032A538", "L-36FBB829")


def answer_form(world: World, service: str, form: Form) -> str:
    """The XML answer to a query-protocol call. Raises `AwsError`."""
    action = form.get("Action", "")
    find = _FORMS.get((service, action))
    if find is None:
        raise AwsError("InvalidAction", f"The stand-in knows no {action} of {service}.")
    return find(world, form)


def get_quota(world: World, request: Json) -> Json:
    """service-quotas GetServiceQuota."""
    if request.get("QuotaCode") not in _VCPU_QUOTAS:
        raise AwsError("NoSuchResourceException", "The quota does not exist.")
    return {"Quota": {"QuotaCode": request["QuotaCode"], "Value": world.settings.vcpu_quota}}


def describe_images(world: World, request: Json) -> Json:
    """ecr DescribeImages by tag: an image exists where the stand-in could pull it."""
    repository = request["repositoryName"]
    tags = [image_id.get("imageTag", "latest") for image_id in request.get("imageIds", [])]
    for tag in tags:
        known = world.settings.images
        if known and not any(name.endswith(f"{repository}:{tag}") for name in known):
            raise AwsError("ImageNotFoundException", "The image does not exist.")
    return {"imageDetails": [{"repositoryName": repository, "imageTags": tags}]}


def _get_caller(world: World, _form: Form) -> str:
    account = world.settings.account
    return _wrap(
        "GetCallerIdentity",
        f"<Arn>arn:aws:iam::{account}:user/standin</Arn><UserId>AIDASTANDIN</UserId>"
        f"<Account>{account}</Account>",
    )


def _get_role(world: World, form: Form) -> str:
    name = escape(form.get("RoleName", ""))
    if name.endswith("-missing"):
        raise AwsError("NoSuchEntity", f"The role with name {name} cannot be found.", status=404)
    arn = f"arn:aws:iam::{world.settings.account}:role/{name}"
    return _wrap(
        "GetRole",
        f"<Role><Path>/</Path><RoleName>{name}</RoleName><RoleId>AROASTANDIN</RoleId>"
        f"<Arn>{arn}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></Role>",
    )


def _describe_subnets(world: World, form: Form) -> str:
    items = []
    for name in _read_list(form, "SubnetId"):
        if not name.startswith("subnet-"):
            raise AwsError(
                "InvalidSubnetID.NotFound", f"The subnet ID '{escape(name)}' does not exist"
            )
        items.append(
            f"<item><subnetId>{escape(name)}</subnetId><state>available</state><vpcId>vpc-1</vpcId>"
            f"<availableIpAddressCount>250</availableIpAddressCount>"
            f"<availabilityZone>{world.settings.region}a</availabilityZone></item>"
        )
    return _wrap_ec2("DescribeSubnets", f"<subnetSet>{''.join(items)}</subnetSet>")


def _describe_groups(_world: World, form: Form) -> str:
    items = []
    for name in _read_list(form, "GroupId"):
        if not name.startswith("sg-"):
            raise AwsError(
                "InvalidGroup.NotFound", f"The security group '{escape(name)}' does not exist"
            )
        items.append(f"<item><groupId>{escape(name)}</groupId><vpcId>vpc-1</vpcId></item>")
    body = f"<securityGroupInfo>{''.join(items)}</securityGroupInfo>"
    return _wrap_ec2("DescribeSecurityGroups", body)


_FORMS: Final[Mapping[tuple[str, str], Callable[[World, Form], str]]] = {
    ("sts", "GetCallerIdentity"): _get_caller,
    ("iam", "GetRole"): _get_role,
    ("ec2", "DescribeSubnets"): _describe_subnets,
    ("ec2", "DescribeSecurityGroups"): _describe_groups,
}


def show_error(service: str, error: AwsError) -> str:
    """An error in the XML of its service."""
    inner = f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
    if service == "ec2":
        return f"<Response><Errors><Error>{inner}</Error></Errors></Response>"
    return f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error></ErrorResponse>"


def _wrap(action: str, inner: str) -> str:
    return f"<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>"


def _wrap_ec2(action: str, inner: str) -> str:
    return f"<{action}Response><requestId>standin</requestId>{inner}</{action}Response>"


def _read_list(form: Form, name: str) -> list[str]:
    """`SubnetId.1=a&SubnetId.2=b` → `["a", "b"]`."""
    return [value for key, value in form.items() if key.partition(".")[0] == name]
