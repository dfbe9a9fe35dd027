"""Machines as network namespaces on one bridge, and what may go wrong between them: cuts, resets, delay, loss.

The kernels of small machines have no netem, so delay is made by a program of ours that holds packets: delay_packets.cc.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Sequence

from processes import ROOT

DELAY_PROGRAM = ROOT / "build" / "release" / "tests" / "delay_packets"


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")


def why_not(*, delay: bool = False) -> str:
    """Why namespaces cannot be had here, or delay in them; empty: they can."""
    needed = [("ip", "iproute2"), ("ss", "iproute2"), ("nft", "nftables"), ("etcd", "etcd-server")]
    if delay:
        needed += [("iptables-legacy", "iptables"), (str(DELAY_PROGRAM), "libnetfilter-queue-dev, and make build")]
    for program, package in needed:
        if shutil.which(program) is None:
            return f"{program} is not there: apt-get install {package}"
    try:
        made = Network(["try"])
        try:
            if delay:
                made.delay(1)
        finally:
            made.end()
    except RuntimeError as error:
        return f"network namespaces are not allowed here, or not all of their rules: {error}"
    return ""


class Network:
    """Namespaces on one bridge, each with an address of its own."""

    def __init__(self, names: Sequence[str]) -> None:
        self._prefix = f"cenote-{os.getpid()}-"
        self.addresses = {name: f"10.77.0.{number}" for number, name in enumerate(names, 1)}
        self._made: list[str] = []
        self._delays: dict[str, subprocess.Popen[str]] = {}
        try:
            self._add("switch")
            self.inside("switch", "ip", "link", "add", "bridge", "type", "bridge")
            self.inside("switch", "ip", "link", "set", "bridge", "up")
            for name in names:
                self._connect(name)
        except BaseException:
            self.end()
            raise

    def _add(self, name: str) -> None:
        run("ip", "netns", "add", self._prefix + name)
        self._made.append(name)
        self.inside(name, "ip", "link", "set", "lo", "up")

    def _connect(self, name: str) -> None:
        self._add(name)
        peer = ("peer", "name", "eth0", "netns", self._prefix + name)
        self.inside("switch", "ip", "link", "add", f"to-{name}", "type", "veth", *peer)
        self.inside("switch", "ip", "link", "set", f"to-{name}", "master", "bridge", "up")
        self.inside(name, "ip", "address", "add", f"{self.addresses[name]}/24", "dev", "eth0")
        self.inside(name, "ip", "link", "set", "eth0", "up")
        self.inside(name, "nft", "add table inet cut; "
                    "add chain inet cut in { type filter hook input priority 0; }; "
                    "add chain inet cut out { type filter hook output priority 0; }")  # fmt: skip

    def command(self, name: str, *command: str) -> list[str]:
        return ["ip", "netns", "exec", self._prefix + name, *command]

    def inside(self, name: str, *command: str) -> None:
        run(*self.command(name, *command))

    def _set(self, names: Sequence[str]) -> str:
        return "{ " + ", ".join(self.addresses[name] for name in names) + " }"

    def cut(self, some: Sequence[str], others: Sequence[str] = ()) -> None:
        """Some of them from those others, or from all the others."""
        others = self._set(others or [name for name in self.addresses if name not in some])
        for name in some:
            self.inside(name, "nft", f"add rule inet cut out ip daddr {others} drop; "
                        f"add rule inet cut in ip saddr {others} drop")  # fmt: skip

    def deafen(self, name: str, but: str = "", to: Sequence[str] = ()) -> None:
        """It hears nothing (or one alone, or all but `to`), and all hear it."""
        kept = f"ip saddr != {self.addresses[but]} " if but else f"ip saddr {self._set(to)} " if to else ""
        self.inside(name, "nft", f"add rule inet cut in iifname eth0 {kept}drop")

    def reset(self, name: str, others: Sequence[str]) -> None:
        """Every connection between them ends in a reset at both ends, now; new ones can be made."""
        peers = " or ".join(f"dst {self.addresses[other]}" for other in others)
        self.inside(name, "ss", "--kill", "--tcp", "state", "connected", f"( {peers} )")

    def refuse(self, name: str, others: Sequence[str]) -> None:
        """Whatever it and those others send to each other is answered with a reset, until it is healed."""
        # Not the resets themselves, which pass the same chains.
        chosen, answer = self._set(others), "tcp flags & rst == 0 reject with tcp reset"
        self.inside(name, "nft", f"add rule inet cut out ip daddr {chosen} {answer}; "
                    f"add rule inet cut in ip saddr {chosen} {answer}")  # fmt: skip

    def lose(self, percent: int, names: Sequence[str] = ()) -> None:
        """So many of the packets that these machines send, or all do."""
        for name in names or self.addresses:
            self.inside(name, "nft", f"add rule inet cut out oifname eth0 numgen random mod 100 < {percent} drop")

    def delay(self, milliseconds: int, names: Sequence[str] = ()) -> None:
        """What these machines send, or all do, takes so much longer."""
        for name in names or self.addresses:
            command = self.command(name, str(DELAY_PROGRAM), "0", str(milliseconds))
            made = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    text=True)  # fmt: skip
            self._delays[name] = made
            assert made.stdout is not None and made.stderr is not None
            if made.stdout.readline() != "ready\n":
                raise RuntimeError(made.stderr.read().strip())
            self._delaying(name, "-A")

    def _delaying(self, name: str, change: str) -> None:
        self.inside(name, "iptables-legacy", "-w", change, "OUTPUT", "-o", "eth0", "-j", "NFQUEUE", "--queue-num", "0")

    def _end_delay(self) -> None:
        while self._delays:
            name, made = self._delays.popitem()
            with contextlib.suppress(RuntimeError):  # a rule that could not be added
                self._delaying(name, "-D")
            made.communicate(timeout=30)

    def heal(self) -> None:
        self._end_delay()
        for name in self.addresses:
            self.inside(name, "nft", "flush table inet cut")

    def end(self) -> None:
        self._end_delay()
        for name in self._made:
            with contextlib.suppress(RuntimeError):
                run("ip", "netns", "del", self._prefix + name)
