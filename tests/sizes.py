"""How many chargers the tests of crowds order: a hundred, or as many as `GATEWAY_TEST_CROWD` says.

`make crowds` runs them with 1,000: what the same tests mean at full size, too long for every change.
"""

from __future__ import annotations

import os
from typing import Final

CROWD: Final = int(os.environ.get("GATEWAY_TEST_CROWD", "100"))
#: A crowd of a thousand needs longer than one charger does, seconds.
CROWD_PATIENCE_S: Final = 60.0 + CROWD * 0.3
