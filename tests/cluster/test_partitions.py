"""Machines of a cluster are cut off from one another: what is known goes on, labelled, and all comes back."""

from __future__ import annotations

import json
import pathlib
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator

import partitions
import pytest
from partitions import CLIENT, NODES, STORE, Cluster, Sample, cluster
from processes import PROGRAM

REASON = partitions.why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)


@pytest.fixture
def made(tmp_path: pathlib.Path) -> Iterator[Cluster]:
    with cluster(tmp_path) as running:
        yield running


# The client asks others once for the cause: who stands still just then is not heard.
TRIES = 3


def test_a_client_in_the_minority_reads_from_the_node_beside_it_and_comes_back(made: Cluster) -> None:
    for _ in range(TRIES):
        cut = made.cut(lambda: made.network.cut([CLIENT, "n1"]))
        local = made.wait_for_state("local", cut.cut)
        if local.cause == "minority":
            break
        made.heal(cut)
    assert local.cause == "minority"
    served = [seen for seen in made.samples() if seen.stale]
    assert {seen.node for seen in served} == {"n1"}
    assert {seen.source for seen in served} == {"cache"}
    made.heal(cut)
    fresh = made.wait(lambda seen: seen.ok and seen.node in ("n2", "n3"), "a read of another node", cut.connected)
    assert not fresh.stale
    assert fresh.source == "etcd"


def test_a_node_that_was_cut_off_says_so_and_registers_again(made: Cluster) -> None:
    made.network.cut(["n1"])
    line = node_status(made, "n1", "local")
    assert "minority" in line
    assert "0 of 2 nodes" in line
    made.network.heal()
    node_status(made, "n1", "connected")


def test_a_client_that_hears_nothing_though_it_is_heard_is_cut_off_too(made: Cluster) -> None:
    made.network.deafen(CLIENT)
    local = made.wait_for_state("local", 0)
    assert local.cause == "minority"
    failed = made.wait(lambda seen: seen.kind == "read" and not seen.ok, "a refused read", local.at + 0.1)
    assert "PARTITIONED" in made.wait(lambda seen: "PARTITIONED" in seen.error, "its reason", failed.at).error
    made.network.heal()
    made.wait_for_state("connected", local.at)


def test_others_that_reach_the_store_make_it_a_one_way_cut(made: Cluster) -> None:
    local = cut_one_way(made)
    made.network.heal()
    made.wait_for_state("connected", local.at)


def cut_one_way(made: Cluster) -> Sample:
    """The client hears neither the store nor n3, which hear it, until it knows."""
    addresses = made.network.addresses
    for _ in range(TRIES):
        begin = time.monotonic()
        for name in (STORE, "n3"):
            made.network.inside(CLIENT, "nft", f"add rule inet cut in ip saddr {addresses[name]} drop")
        local = made.wait_for_state("local", begin)
        if local.cause == "one-way":
            break
        made.network.heal()
        made.wait_for_state("connected", local.at)
    assert local.cause == "one-way"
    return local


def test_a_node_that_stands_still_keeps_no_other_from_telling_that_it_reaches_the_store(made: Cluster) -> None:
    made.processes["n1"].send_signal(signal.SIGSTOP)
    try:
        cut_one_way(made)
    finally:
        made.processes["n1"].send_signal(signal.SIGCONT)


def test_a_lost_store_whose_nodes_all_answer_is_no_partition(tmp_path: pathlib.Path) -> None:
    with cluster(tmp_path, timeout=30) as made:
        made.processes[STORE].kill()
        lost = made.wait(lambda seen: seen.cause == "store-lost", "the store's loss")
        assert lost.state == "connected"
        made.wait(lambda seen: seen.kind == "read" and seen.at > lost.at + 3, "later reads")
        for name in NODES:
            made.wait(lambda seen, name=name: seen.node == name, f"a read of {name}", lost.at)
        later = [seen for seen in made.samples() if seen.kind == "read" and seen.at > lost.at]
        assert all(seen.ok and not seen.stale for seen in later)
        # Nodes that stand still for a moment are a reason to look, no more.
        assert {seen.state for seen in made.samples() if seen.kind == "state"} <= {"connected", "suspect"}


def test_with_immediate_recovery_nodes_that_are_back_get_all_their_calls_at_once(tmp_path: pathlib.Path) -> None:
    with cluster(tmp_path, recovery_strategy="immediate") as made:
        cut = made.cut(lambda: made.network.cut([CLIENT, "n1"]))
        back = made.heal(cut).connected
        made.wait(lambda seen: seen.ok and seen.node == "n2", "a read of a node that is back", back)
        later = [seen for seen in made.samples() if seen.kind == "state" and seen.at >= back]
        assert {seen.share for seen in later} == {1}


def test_manual_recovery_waits_for_the_operator(tmp_path: pathlib.Path) -> None:
    with cluster(tmp_path, recovery_strategy="manual") as made:
        made.network.cut([CLIENT])
        local = made.wait_for_state("local", 0)
        made.network.heal()
        made.wait(lambda seen: seen.ok and seen.node == "n2", "a read of a node that is back", local.at)
        awaited = "operator's word"
        partitions.eventually(lambda: awaited in (made.folder / f"{CLIENT}.log").read_text())
        assert made.samples()[-1].state in ("", "local")
        made.tell("recover")
        made.wait_for_state("connected", local.at)


def test_a_node_with_manual_recovery_comes_back_at_sighup(tmp_path: pathlib.Path) -> None:
    with cluster(tmp_path, recovery_strategy="manual") as made:
        log = made.folder / "n1.log"
        made.network.cut(["n1"])
        node_status(made, "n1", "local")
        made.network.heal()
        partitions.eventually(lambda: "operator's word" in log.read_text())
        assert '"to":"connected"' not in log.read_text(), "it did not wait"
        made.processes["n1"].send_signal(signal.SIGHUP)
        node_status(made, "n1", "connected")
        assert "told to recover" in log.read_text()


def test_a_write_that_local_mode_refuses_says_so_and_is_nowhere(tmp_path: pathlib.Path) -> None:
    with cluster(tmp_path, local_cache_ttl="4s") as made:
        made.tell("write")
        made.wait(lambda seen: seen.kind == "write" and seen.ok, "a write")
        made.network.cut([CLIENT, "n1"])
        local = made.wait_for_state("local", 0)
        refused = made.wait(lambda seen: "the write was not sent" in seen.error, "a refused write", local.at)
        assert refused.error.startswith("PARTITIONED: pool 'main_db'")
        assert "reads go on" in refused.error
        assert refused.retryable
        made.wait(lambda seen: seen.kind == "read" and seen.ok and seen.stale, "a read after it", refused.at)
        made.network.heal()
        connected = made.wait_for_state("connected", refused.at)
        made.wait(lambda seen: seen.kind == "write" and seen.ok, "a write after all", connected.at)
        seen = [each for each in made.samples() if each.kind == "write"]
        rows = made.written()
        assert len(rows) == len(set(rows)), "a write took effect twice"
        assert {each.row for each in seen if each.ok} <= set(rows)
        assert not {each.row for each in seen if each.error.startswith("PARTITIONED")} & set(rows)


def test_past_its_time_the_cached_view_serves_reads_and_then_nothing(tmp_path: pathlib.Path) -> None:
    with cluster(tmp_path, local_cache_ttl="4s") as made:
        made.network.cut([CLIENT, "n1"])
        local = made.wait_for_state("local", 0)
        made.wait(lambda seen: seen.ok and seen.stale, "a local read", local.at)
        refused = made.wait(lambda seen: "local_cache_ttl" in seen.error, "a refused read", local.at)
        assert "four times" in refused.error


def test_nodes_that_are_back_get_few_calls_at_first_and_their_part_later(tmp_path: pathlib.Path) -> None:
    with cluster(tmp_path, readers=4, recovery_strategy="gradual") as made:
        cut = made.cut(lambda: made.network.cut([CLIENT, "n1"]))
        back = made.heal(cut).connected
        made.wait(lambda seen: seen.at > back + 5, "reads on the way back")

        def share(begin: float, end: float) -> dict[str, int]:
            took = Counter(seen.node for seen in made.samples() if seen.ok and begin <= seen.begun < end)
            return {node: took[node] for node in NODES}

        first = share(back, back + 5)
        assert 0 < first["n2"] + first["n3"] < first["n1"], first
        whole = made.wait(lambda seen: seen.state == "connected" and seen.share == 1, "the whole share", back + 5)

        def fair(seconds: float = 3) -> bool:
            """Lately; a node that stood still meanwhile had less."""
            now = made.samples()[-1].at
            later = share(now - seconds, now)
            return now > whole.at + seconds and min(later["n2"], later["n3"]) > later["n1"] / 2

        partitions.eventually(fair)


def node_status(made: Cluster, name: str, state: str) -> str:
    """The line of `cenote status` on that machine, once the node is in that state."""
    command = made.network.command(name, PROGRAM, "status", "-c", str(made.folder / f"{name}.yaml"), "--timeout", "1s")

    def line() -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [each for each in done.stdout.splitlines() if each.startswith(f"this node ({name}): {state}")]
        return lines[0] if lines else ""

    def logged() -> bool:
        log = [json.loads(each[each.index("{") :]) for each in (made.folder / f"{name}.log").read_text().splitlines()
               if '"event":"partition"' in each]  # fmt: skip
        return any(each["to"] == state for each in log)

    found: str = partitions.eventually(line)
    partitions.eventually(logged)
    return found
