"""Faults of a cluster of machines, one after another, each for a while, in an order that a seed decides."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator

from appends import CLIENTS, DATABASE, NODES, Appends

Fault = Callable[["Nemesis", float], None]


class Nemesis:
    def __init__(self, made: Appends, seed: int) -> None:
        self.made, self.network = made, made.network
        self.chance = random.Random(seed)

    def run(self, faults: Iterable[str], shortest: float, longest: float) -> None:
        """Each for between so many seconds, and a moment of peace after it."""
        for name in faults:
            seconds = self.chance.uniform(shortest, longest)
            self.made.note(f"{name} for {seconds:.1f} s")
            FAULTS[name](self, seconds)
            self.made.note(f"{name} is over")
            time.sleep(self.chance.uniform(0.2, 0.8))

    def shuffled(self) -> list[str]:
        """Every fault once."""
        return self.chance.sample(list(FAULTS), len(FAULTS))

    def node(self) -> str:
        return self.chance.choice(NODES)

    @contextlib.contextmanager
    def healed(self) -> Iterator[None]:
        yield
        self.network.heal()

    def killed_node(self, seconds: float) -> None:
        name = self.node()
        self.made.kill(name)
        time.sleep(seconds)
        self.made.again(name)

    def stopped_node(self, seconds: float) -> None:
        process = self.made.processes[self.node()]
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)

    def isolated_node(self, seconds: float) -> None:
        with self.healed():
            self.network.cut([self.node()])
            time.sleep(seconds)

    def deaf_node(self, seconds: float) -> None:
        with self.healed():
            self.network.deafen(self.node())
            time.sleep(seconds)

    def deaf_client(self, seconds: float) -> None:
        with self.healed():
            self.network.deafen(CLIENTS[0])
            time.sleep(seconds)

    def minority(self, seconds: float) -> None:
        """A client and a node that have the database still, and nobody else."""
        with self.healed():
            self.network.cut([CLIENTS[0], self.node(), DATABASE])
            time.sleep(seconds)

    def node_without_database(self, seconds: float) -> None:
        with self.healed():
            self.network.cut([self.node()], [DATABASE])
            time.sleep(seconds)

    def _resets(self, name: str, others: tuple[str, ...], seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.network.reset(name, others)
            time.sleep(self.chance.uniform(0.05, 0.3))

    def reset_clients(self, seconds: float) -> None:
        self._resets(self.node(), CLIENTS, seconds)

    def reset_database(self, seconds: float) -> None:
        self._resets(self.node(), (DATABASE,), seconds)

    def reset_late(self, seconds: float) -> None:
        """The answers are on their way for long, so that most of what is reset was done already."""
        with self.healed():
            name = self.node()
            self.network.delay(50, [name])
            self._resets(name, CLIENTS, seconds)

    def refusing_node(self, seconds: float) -> None:
        with self.healed():
            self.network.refuse(self.node(), CLIENTS)
            time.sleep(seconds)

    def refusing_database(self, seconds: float) -> None:
        with self.healed():
            self.network.refuse(self.node(), [DATABASE])
            time.sleep(seconds)

    def delay(self, seconds: float) -> None:
        with self.healed():
            self.network.delay(100, [*NODES, *CLIENTS])
            self.network.lose(5, [*NODES, *CLIENTS])
            time.sleep(seconds)

    def killed_store_leader(self, seconds: float) -> None:
        name = self.made.store_leader()
        self.made.kill(name)
        time.sleep(seconds)
        self.made.again(name)


FAULTS: dict[str, Fault] = {
    "kill -9 of a node": Nemesis.killed_node,
    "SIGSTOP of a node": Nemesis.stopped_node,
    "a node cut off": Nemesis.isolated_node,
    "a node that hears nothing": Nemesis.deaf_node,
    "a client that hears nothing": Nemesis.deaf_client,
    "a client and a node cut off, with the database": Nemesis.minority,
    "a node cut off from the database": Nemesis.node_without_database,
    "connections of clients and a node reset": Nemesis.reset_clients,
    "connections of clients and a node reset while answers are late": Nemesis.reset_late,
    "connections of a node and the database reset": Nemesis.reset_database,
    "a node that answers clients with resets": Nemesis.refusing_node,
    "a database that answers a node with resets": Nemesis.refusing_database,
    "100 ms of delay and 5 % loss of what nodes and clients send": Nemesis.delay,
    "kill -9 of the store's leader": Nemesis.killed_store_leader,
}
