"""`python -m simulator host` and `python -m simulator csms`."""

from __future__ import annotations

import click

from simulator.cli import commands


@click.group()
def main() -> None:
    """Simulated EV chargers, and a small CSMS to try them against."""


for command in commands:
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="simulator")
