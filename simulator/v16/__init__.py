"""OCPP 1.6 in full: importing this package registers every handler with
`simulator.ocpp16.BEHAVIOUR`.

One module per block: `voice` (what happened, as messages), `transactions` (what the CSMS makes of
them), `remote` (start, stop, unlock), `configuration`, `availability`, `authorization` (list and
cache), `reservations`, `smart_charging`, `maintenance` (firmware, diagnostics, logs), `security`,
`triggers`.
"""

from simulator import keeping, network, orders, proxies, pulses
from simulator.ocpp16 import BEHAVIOUR
from simulator.transactions import Token
from simulator.v16 import (
    authorization,
    availability,
    configuration,
    maintenance,
    remote,
    reservations,
    security,
    smart_charging,
    transactions,
    triggers,
)

__all__ = [
    "BEHAVIOUR",
    "authorization",
    "availability",
    "configuration",
    "maintenance",
    "remote",
    "reservations",
    "security",
    "smart_charging",
    "transactions",
    "triggers",
]

pulses.install(BEHAVIOUR)
keeping.install(BEHAVIOUR)
orders.install(BEHAVIOUR, configuration.change, Token)
network.install(BEHAVIOUR)
proxies.install(BEHAVIOUR)
