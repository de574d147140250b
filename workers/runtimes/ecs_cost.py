"""What a charger on ECS costs, from the prices in the settings. Pure; an estimate, not a bill.

Fargate bills vCPU and memory by the second (a minute at least), and a public IPv4 address by the hour. Not in it:
NAT gateways, image pulls through them, CloudWatch Logs, and EC2 instances, which cost the same however many
tasks they carry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from workers.runtimes.ecs_settings import EcsSettings

HOURS_PER_MONTH: Final = 730.0


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars."""

    per_charger_hour: float
    #: Chargers times hours.
    total: float
    chargers: int
    hours: float


def estimate_cost(settings: EcsSettings, chargers: int = 1, hours: float = HOURS_PER_MONTH) -> Cost:
    """What `chargers` cost that run for `hours` each; on EC2 the instances are not counted, so 0 and addresses."""
    vcpu, gigabytes = settings.cpu / 1024, settings.memory_mib / 1024
    hourly = vcpu * settings.price_vcpu_hour + gigabytes * settings.price_gb_hour
    if settings.launch == "fargate_spot":
        hourly *= 1 - settings.spot_discount
    if not settings.is_fargate:
        hourly = 0.0
    if settings.is_fargate and settings.assign_public_ip:
        hourly += settings.price_ipv4_hour
    return Cost(hourly, hourly * chargers * hours, chargers, hours)


def describe_cost(settings: EcsSettings) -> str:
    """One sentence for people."""
    if not settings.is_fargate:
        return "On EC2 the instances are paid for, not the chargers."
    cost = estimate_cost(settings)
    launch = "Spot" if settings.launch == "fargate_spot" else "on demand"
    return (
        f"A charger costs about ${cost.per_charger_hour:.4f} an hour on Fargate {launch}, "
        f"${cost.total:.2f} a month of {HOURS_PER_MONTH:.0f} h; "
        f"100 of them ${estimate_cost(settings, 100).total:,.0f}."
    )
