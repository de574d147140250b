"""Throttling as the ECS developer guide states it, per account and region. The driver has its own copy.

Sources: "Request throttling for the Amazon ECS API" and "AWS Fargate throttling quotas".
"""

from __future__ import annotations

from typing import Final

from workers.runtimes.buckets import Limit

LIMITS: Final = {
    "task definition modify": Limit(20, 1),
    "task definition delete": Limit(5, 1),
    "task definition read": Limit(50, 20),
    "cluster resource modify": Limit(100, 40),
    "Fargate RunTask": Limit(20, 20),
    "Fargate on-demand launches": Limit(100, 20),
    "Fargate Spot launches": Limit(100, 20),
    "cluster resource read": Limit(100, 20),
    "cluster read": Limit(50, 20),
    "tags": Limit(20, 10),
}

MEMBERS: Final = {
    "task definition modify": ("RegisterTaskDefinition", "DeregisterTaskDefinition"),
    "task definition delete": ("DeleteTaskDefinitions",),
    "task definition read": (
        "DescribeTaskDefinition",
        "ListTaskDefinitions",
        "ListTaskDefinitionFamilies",
    ),
    "cluster resource modify": ("RunTask", "StopTask"),
    "Fargate RunTask": ("RunTask on Fargate",),
    "Fargate on-demand launches": ("launch on demand",),
    "Fargate Spot launches": ("launch on Spot",),
    "cluster resource read": ("DescribeTasks", "ListTasks"),
    "cluster read": ("DescribeClusters", "ListClusters"),
    "tags": ("TagResource",),
}
