"""`python -m tests.chaos.harness`: orders under fire, then a table of what held.

One seed orders `--orders` times on a whole gateway while faults go on; afterwards everything must settle, and the
invariants are printed. The exit code is 1 when one does not hold; then the data folder is kept. Same seed,
same orders and same faults (not the same instant: real processes are not that repeatable).

`--runtime ecs-standin` does it with the ECS driver: each charger is a process of its own then (about 40 MiB and a
second of processor to start), so there are fewer orders unless you say so, and the account goes wrong too.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.chaos.account import ENVIRONMENT, Account, AccountFaults, check_account
from tests.chaos.faults import Faults, choose_round
from tests.chaos.invariants import (
    Finding,
    check_all,
    check_settled,
    describe,
    measure_recovery,
)
from tests.chaos.traffic import Traffic
from tests.gateways import Gateway, eventually, make_data_folder, make_environment, run_gateway
from tests.judges import Judge, run_judge
from tests.servers import Valkey, make_folder

_ORGANIZATIONS: Final = ("acme", "globex", "initech", "umbrella")
_SETTLE_S: Final = 90.0


@dataclass(frozen=True, slots=True)
class Habits:
    """What differs with the runtime."""

    #: Unless the command line says.
    orders: int
    faults: int
    #: Chargers ordered in peace, to count their messages.
    calm: int
    #: Waits that park in an undisturbed order: for the CSMS, and before it for the health check of a task.
    parks: int
    #: See `Traffic.haste`.
    haste: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ("flower",)


HABITS: Final[Mapping[str, Habits]] = {
    "local": Habits(1000, 54, calm=20, parks=1),
    "ecs-standin": Habits(
        300, 40, calm=10, parks=2, haste=0.3, environment=ENVIRONMENT, without=("flower", "host")
    ),
}


@dataclass
class Chaos:
    """One seed's run."""

    gateway: Gateway
    broker_url: str
    broker: Valkey | None
    judge: Judge
    seed: int
    orders: int
    faults: int
    pause_s: float
    runtime: str = "local"
    #: The pretended AWS account, where there is one.
    account: Account | None = None
    done: list[tuple[float, str]] = field(default_factory=list)

    def run(self) -> bool:
        """Order, hurt, settle, judge. Whether everything held."""
        if self.account is not None:
            self.account.remembers_everything()
        calm = [] if self.broker is None else [self._measure_calm(self.broker)]
        traffic = self._make_traffic()
        began = time.monotonic()
        traffic.start()
        self._hurt(traffic)
        traffic.join()
        if traffic.failures:
            print("traffic failed:", *traffic.failures, sep="\n  ")
            return False
        print(f"{traffic.placed} orders on {len(traffic.wishes)} chargers in "
              f"{time.monotonic() - began:.0f} s; answers: {dict(traffic.counts)}")  # fmt: skip
        self._settle(traffic)
        return self._judge(traffic, calm)

    @property
    def _round(self) -> tuple[str, ...]:
        return choose_round(self.runtime, with_broker=self.broker is not None)

    @property
    def _has_long_faults(self) -> bool:
        """A whole round has them; the short form has no time for them."""
        return self.faults >= len(self._round)

    def _make_traffic(self) -> Traffic:
        tokens = {name: self._make_token(name) for name in _ORGANIZATIONS}
        # Orders go on for about as long as the faults do: some last, and the two long ones take 80 s.
        lasting_s = 80 if self._has_long_faults else 12
        return Traffic(
            self._read_base_url,
            tokens,
            self.judge.ws_url,
            self.seed,
            self.orders,
            pace_s=4 * (self.faults * (self.pause_s + 3.5) + lasting_s) / self.orders,
            haste=HABITS[self.runtime].haste,
        )

    def _make_token(self, organization: str) -> str:
        data = str(self.gateway.data)
        made = run_gateway(
            *("token", "--data-dir", data, "--organization", organization, "--show"),
            environment=make_environment(GATEWAY_BROKER_URL=self.broker_url),
        )
        if made.returncode:
            raise RuntimeError(f"no token: {made.stderr}")
        return made.stdout.strip().splitlines()[-1]

    def _read_base_url(self) -> str:
        return str(self.gateway.read_state()["base_url"])

    def _hurt(self, traffic: Traffic) -> None:
        """The faults of one round after another; the long outage and the supervisor's death once each."""
        chance = random.Random(self.seed)
        of_account = AccountFaults(self.account, chance) if self.account else None
        faults = Faults(self.gateway, self.broker_url, self.broker, chance, of_account)
        round_ = self._round
        names: list[str] = []
        while len(names) < self.faults:
            names += chance.sample(round_, len(round_))
        names = names[: self.faults]
        if self._has_long_faults:
            names[self.faults // 2 : self.faults // 2] = [
                *(["stop_broker_for_a_minute"] if self.broker else []),
                *(["kill_supervisor"] if self.account is None else []),
            ]
        for name in names:
            time.sleep(chance.uniform(0.5, 1.5) * self.pause_s)
            what = faults.pick(name)()
            self.done.append((time.time(), name))
            print(f"  {name:28s} {what:32s} {traffic.placed} orders accepted", flush=True)

    def _settle(self, traffic: Traffic) -> None:
        began = time.monotonic()
        late: list[str] = ["not looked yet"]
        while late and time.monotonic() - began < _SETTLE_S:
            time.sleep(1)
            with suppress(psycopg.Error), self.gateway.connect() as database:
                late = check_settled(database, traffic.wishes)
        print(f"settled {time.monotonic() - began:.0f} s after the last order; {len(late)} late")

    def _measure_calm(self, broker: Valkey) -> Finding:
        """Messages of undisturbed orders: one for each step, and one more for the wait that parks."""
        calm = Traffic(
            self._read_base_url,
            {"calm": self._make_token("calm")},
            self.judge.ws_url,
            self.seed,
            target=HABITS[self.runtime].calm,
            prefix="calm",
        )
        before = _count_messages(broker)
        calm.creates_only()
        with self.gateway.connect() as database:
            _wait_until_settled(database, calm)
            (steps,) = database.execute("SELECT count(*) FROM run_steps").fetchone() or (0,)
        ratio = (_count_messages(broker) - before) / (
            steps + HABITS[self.runtime].parks * len(calm.wishes)
        )
        calm.deletes_all()
        with self.gateway.connect() as database:
            _wait_until_settled(database, calm)
        name = "messages are at most 1.2 times the steps of undisturbed orders"
        return Finding(name, ratio <= 1.2, f"{ratio:.2f} per step or park, {steps} steps")

    def _judge(self, traffic: Traffic, calm: list[Finding]) -> bool:
        time.sleep(3)
        with self.gateway.connect() as database:
            findings = [*calm, *check_all(database, self.judge, traffic.wishes)]
            if self.account is not None:
                findings += check_account(database, self.account)
            times = measure_recovery(database, self.done)
        for finding in findings:
            print(
                f"  {'holds' if finding.holds else 'BROKEN':7s} {finding.name}: {finding.evidence}"
            )
        print(f"  from the end of a fault to progress: {describe(times)}")
        return all(finding.holds for finding in findings)


def _wait_until_settled(database: psycopg.Connection[Any], calm: Traffic) -> None:
    late: list[str] = []

    def is_settled() -> bool:
        late[:] = check_settled(database, calm.wishes)
        return not late

    try:
        eventually(is_settled, "orders in peace settle")
    except AssertionError as error:
        raise AssertionError(f"{error}: {late[:5]}") from None


def _count_messages(broker: Valkey) -> int:
    with broker.connect() as client:
        stats: Any = client.info("commandstats")
    return int(stats.get("cmdstat_lpush", {}).get("calls", 0))


def run_seed(
    seed: int,
    orders: int,
    faults: int,
    pause_s: float,
    broker_url: str | None = None,
    runtime: str = "local",
) -> bool:
    """A gateway of its own for one seed. Its data folder is kept when something is broken."""
    with ExitStack() as stack:
        broker = None
        if broker_url is None:
            broker = stack.enter_context(Valkey(stack.enter_context(make_folder())))
            broker_url = broker.url
        judge = stack.enter_context(run_judge())
        habits = HABITS[runtime]
        environment = make_environment(
            GATEWAY_BROKER_URL=broker_url,
            SIMULATOR_RECONNECT_MIN_S="0.2",
            SIMULATOR_RECONNECT_MAX_S="2",
            **habits.environment,
        )
        data = stack.enter_context(make_data_folder())
        gateway = stack.enter_context(
            Gateway(data, "--runtime", runtime, without=habits.without, environment=environment)
        )
        gateway.comes_up()
        account = stack.enter_context(Account(gateway)) if runtime == "ecs-standin" else None
        print(f"seed {seed}: {orders} orders, {faults} faults", flush=True)
        held = False
        try:
            held = Chaos(
                gateway, broker_url, broker, judge, seed, orders, faults, pause_s, runtime, account
            ).run()
        finally:
            if not held:
                _keep_evidence(data, seed, account)
        return held


def _keep_evidence(data: Path, seed: int, account: Account | None) -> None:
    kept = Path(f"{data}-evidence-{seed}")
    shutil.copytree(data / "logs", kept, dirs_exist_ok=True)
    if account is not None:
        with suppress(Exception):
            (kept / "tasks.json").write_text(json.dumps(account.list_tasks(), indent=1))
    print(f"the logs are kept in {kept}")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--orders", type=int, help="1000; with ecs-standin 300")
    parser.add_argument("--faults", type=int, help="54; with ecs-standin 40")
    parser.add_argument(
        "--pause", type=float, default=6.0, help="seconds between faults, on average"
    )
    parser.add_argument("--broker-url", help="a broker of your own (amqp://...); it is not hurt")
    parser.add_argument("--runtime", default="local", choices=tuple(HABITS))
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    habits = HABITS[given.runtime]
    orders, faults = given.orders or habits.orders, given.faults or habits.faults
    held = [
        run_seed(seed, orders, faults, given.pause, given.broker_url, given.runtime)
        for seed in seeds
    ]
    print(f"{sum(held)} of {len(held)} seeds held")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
