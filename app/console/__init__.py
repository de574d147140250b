"""`gateway chargers`, `gateway locations` and `gateway runs`: the REST API for people at a terminal.

Read `access` (which gateway, as whom), then `client` (the calls), then a module per noun. `tables` and `progress`
draw; everything takes `--json` and then prints what the API answered. Libraries are imported inside functions, so
that `gateway --help` stays light.
"""

from app.console.chargers import chargers
from app.console.locations import locations
from app.console.runs import runs

__all__ = ["commands"]

commands = [chargers, locations, runs]
