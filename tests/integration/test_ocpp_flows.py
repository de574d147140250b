"""The scenarios of the open OCPP TCK by name, by real sockets against our strict CSMS (docs/ocpp-flows.md).

The TCK judges a CSMS; here the same flows are played the other way round, and the charger is judged: what it
answers, what it says next, and that it breaks no rule on the way. They are written in `tests/flows_core.py`
and `tests/flows_control.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import flows_control, flows_core
from tests.flow_world import SCENARIOS, a_flow
from tests.link_gateway import in_event_loop

PAGE = Path(__file__).parents[2] / "docs" / "ocpp-flows.md"
#: Importing them registers them.
WRITTEN_IN = (flows_core, flows_control)


@pytest.mark.parametrize("name", sorted(SCENARIOS))
@in_event_loop
async def test_the_charger_plays_the_scenario(name: str) -> None:
    play, settings = SCENARIOS[name]
    version = "OCPP2.0.1" if name.startswith("cert201") else "OCPP1.6"
    async with a_flow(version, **settings) as flow:
        await play(flow)


def test_the_page_lists_what_is_played() -> None:
    listed = re.findall(r"^\| `(cert\S+)` \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(SCENARIOS)
    assert len([name for name in listed if name.startswith("cert16")]) == 47
