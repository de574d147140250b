"""OCPP 2.0.1 in full: importing this package registers every handler with
`simulator.ocpp201.BEHAVIOUR`.

One module per block: `voice` (what happened, as messages), `transactions` (answers of the CSMS, E),
`remote` (F), `variables` (B: device model and reports), `availability` (B, G), `authorization` (C,
D), `reservations` (H), `smart_charging` (K), `maintenance` (L, N: firmware and logs), `monitoring`
(N), `security` (A, M), `triggers` (F06), `customer` (N09, B09).
"""

from simulator import keeping, network, orders, proxies, pulses
from simulator.ocpp201 import BEHAVIOUR
from simulator.v201 import (
    authorization,
    availability,
    customer,
    maintenance,
    monitoring,
    remote,
    reservations,
    security,
    smart_charging,
    transactions,
    triggers,
    variables,
)
from simulator.v201.voice import make_token

__all__ = [
    "BEHAVIOUR",
    "authorization",
    "availability",
    "customer",
    "maintenance",
    "monitoring",
    "remote",
    "reservations",
    "security",
    "smart_charging",
    "transactions",
    "triggers",
    "variables",
]

pulses.install(BEHAVIOUR)
keeping.install(BEHAVIOUR)
orders.install(BEHAVIOUR, variables.change, make_token)
network.install(BEHAVIOUR)
proxies.install(BEHAVIOUR)
