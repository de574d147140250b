"""One connector as it is shown to the gateway and reported to the CSMS."""

from __future__ import annotations

from typing import Any

from simulator.config import ConnectorSpec


class Outlet:
    """The visible facts of one connector. Power in W, energy in Wh (the meter's reading), SoC in %."""

    __slots__ = (
        "energy_wh",
        "error_code",
        "life",
        "power_w",
        "reported",
        "soc",
        "spec",
        "status",
        "transaction_id",
    )

    def __init__(self, spec: ConnectorSpec) -> None:
        self.spec = spec
        self.status = "Available"
        self.error_code = "NoError"
        #: The (status, error code) that the CSMS was last told.
        self.reported: tuple[str, str] | None = None
        self.power_w = 0
        self.energy_wh = 0
        self.transaction_id: str | None = None
        self.soc: float | None = None
        #: Belongs to the behaviours: whatever makes this connector live.
        self.life: Any = None

    def describe(self) -> dict[str, Any]:
        """This connector in the link's `connectors`."""
        return {
            "id": self.spec.id,
            "status": self.status,
            "error_code": self.error_code,
            "power_w": self.power_w,
            "energy_wh": self.energy_wh,
            "transaction_id": self.transaction_id,
            "soc": self.soc,
        }
