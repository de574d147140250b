"""`python -m tests.chaos.harness`: orders under fire, then a table of what held.

One seed orders `--orders` times on a whole gateway while faults go on; afterwards everything must settle, and the
invariants are printed. The exit code is 1 when one does not hold; then the data folder is kept. Same seed,
same orders and same faults (not the same instant: real processes are not that repeatable).
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.chaos.faults import OF_BROKER, OF_LOCAL_HOST, ROUND, Faults
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
    done: list[tuple[float, str]] = field(default_factory=list)

    def run(self) -> bool:
        """Order, hurt, settle, judge. Whether everything held."""
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

    def _make_traffic(self) -> Traffic:
        tokens = {name: self._make_token(name) for name in _ORGANIZATIONS}
        return Traffic(
            self._read_base_url,
            tokens,
            self.judge.ws_url,
            self.seed,
            self.orders,
            # Orders go on for about as long as the faults do: some last, and the two long ones take 80 s.
            pace_s=4 * (self.faults * (self.pause_s + 3.5) + 80) / self.orders,
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
        faults = Faults(self.gateway, self.broker_url, self.broker, chance)
        names: list[str] = []
        while len(names) < self.faults:
            names += chance.sample(ROUND, len(ROUND))
        names = names[: self.faults]
        if self.faults >= len(ROUND):
            names[self.faults // 2 : self.faults // 2] = [
                "stop_broker_for_a_minute",
                "kill_supervisor",
            ]
        for name in names:
            if self.broker is None and name in OF_BROKER:
                continue
            if self.runtime != "local" and name in OF_LOCAL_HOST:
                continue
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
            target=20,
            prefix="calm",
        )
        before = _count_messages(broker)
        calm.creates_only()
        with self.gateway.connect() as database:
            eventually(lambda: not check_settled(database, calm.wishes), "the calm orders settle")
            (steps,) = database.execute("SELECT count(*) FROM run_steps").fetchone() or (0,)
        ratio = (_count_messages(broker) - before) / (steps + len(calm.wishes))
        calm.deletes_all()
        with self.gateway.connect() as database:
            eventually(lambda: not check_settled(database, calm.wishes), "the calm orders end")
        name = "messages are at most 1.2 times the steps of undisturbed orders"
        return Finding(name, ratio <= 1.2, f"{ratio:.2f} per step or park, {steps} steps")

    def _judge(self, traffic: Traffic, calm: list[Finding]) -> bool:
        time.sleep(3)
        with self.gateway.connect() as database:
            findings = [*calm, *check_all(database, self.judge, traffic.wishes)]
            times = measure_recovery(database, [moment for moment, _ in self.done])
        for finding in findings:
            print(
                f"  {'holds' if finding.holds else 'BROKEN':7s} {finding.name}: {finding.evidence}"
            )
        print(f"  from the end of a fault to progress: {describe(times)}")
        return all(finding.holds for finding in findings)


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
        environment = make_environment(
            GATEWAY_BROKER_URL=broker_url,
            SIMULATOR_RECONNECT_MIN_S="0.2",
            SIMULATOR_RECONNECT_MAX_S="2",
        )
        data = stack.enter_context(make_data_folder())
        gateway = stack.enter_context(
            Gateway(data, "--runtime", runtime, without=("flower",), environment=environment)
        )
        gateway.comes_up()
        print(f"seed {seed}: {orders} orders, {faults} faults", flush=True)
        held = Chaos(
            gateway, broker_url, broker, judge, seed, orders, faults, pause_s, runtime
        ).run()
        if not held:
            kept = Path(f"{data}-evidence-{seed}")
            shutil.copytree(data / "logs", kept, dirs_exist_ok=True)
            print(f"the logs are kept in {kept}")
        return held


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--orders", type=int, default=1000)
    parser.add_argument("--faults", type=int, default=36)
    parser.add_argument(
        "--pause", type=float, default=6.0, help="seconds between faults, on average"
    )
    parser.add_argument("--broker-url", help="a broker of your own (amqp://...); it is not hurt")
    parser.add_argument("--runtime", default="local", choices=("local", "ecs-standin"))
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    held = [
        run_seed(seed, given.orders, given.faults, given.pause, given.broker_url, given.runtime)
        for seed in seeds
    ]
    print(f"{sum(held)} of {len(held)} seeds held")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
