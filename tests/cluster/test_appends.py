"""Clients append to lists and read them while machines and networks fail: what they saw is judged as one history."""

from __future__ import annotations

import contextlib
import pathlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import appends
import history
import pytest
from appends import CLIENTS, DATABASE, GUEST, NODES, Appends
from nemesis import FAULTS, Nemesis
from processes import eventually

REASON = appends.why_not(delay=True)
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

ONE = CLIENTS[1]
WHERE = {"client and node": ([ONE], NODES), "node and database": (NODES, [DATABASE])}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appends]:
    with appends.appends(tmp_path_factory.mktemp("appends")) as made:
        yield made


@pytest.fixture
def made(running: Appends) -> Iterator[Appends]:
    """Judged after each test."""
    begin = time.monotonic()
    yield running
    running.network.heal()
    running.wait_for_all()
    assert running.problems(begin) == ""


FIRST, SECOND = 1, 2  # ids


def end_of(made: Appends, key: int, value: object) -> dict[str, Any]:
    """How the one append of an id, or read of a list, ended."""
    return made.wait(
        lambda line: line.get("key") == key and line["type"] != "invoke" and line["value"] == value, f"{value}'s end"
    )


def one_list(made: Appends, client: str) -> int:
    """The key of a list that no other test has, with one id in it."""

    def tried() -> int:
        key = random.randrange(10**9, 10**12)
        made.tell(client, "append", key=key, id=FIRST)
        # It may be the call that finds a connection to be broken, by a fault before.
        with contextlib.suppress(AssertionError):
            eventually(lambda: ids_of(made, key) == str(FIRST), 10)
            return key
        return 0

    found: int = eventually(tried)
    return found


def ids_of(made: Appends, key: int) -> str:
    return made.asked(f"select ids from lists where key = {key}")


def reset_once_done(made: Appends, client: str, key: int, names: Sequence[str], others: Sequence[str]) -> None:
    """The second append's answer is on its way when the connections between these machines are reset."""
    with made.writers_wait(key):
        made.tell(client, "append", key=key, id=SECOND)
        made.wait_for_writer()
        for name in names:
            made.network.deafen(name, to=others)
    eventually(lambda: ids_of(made, key) == f"{FIRST},{SECOND}")
    for name in names:
        made.network.reset(name, others)
    made.network.heal()


@pytest.mark.parametrize("where", WHERE)
def test_an_append_whose_connection_is_reset_before_it_is_done_ends_as_unknown(made: Appends, where: str) -> None:
    names, others = WHERE[where]
    key = one_list(made, ONE)
    with made.writers_wait(key):
        made.tell(ONE, "append", key=key, id=SECOND)
        made.wait_for_writer()
        for name in names:
            made.network.reset(name, others)
        assert end_of(made, key, SECOND)["type"] == "info"
    made.read(ONE, [key])


@pytest.mark.parametrize("where", WHERE)
def test_an_append_whose_connection_is_reset_after_it_was_done_ends_as_unknown(made: Appends, where: str) -> None:
    key = one_list(made, ONE)
    reset_once_done(made, ONE, key, *WHERE[where])
    assert end_of(made, key, SECOND)["type"] == "info"
    made.read(ONE, [key])
    assert end_of(made, key, [FIRST, SECOND])["type"] == "ok"


def has_counted(made: Appends, since: float, number: int, *ends: str) -> bool:
    """Whether more calls than that ended in each of these ways."""
    counted = history.counts(line for line in made.told() if line["time"] > since)
    return all(counted.get(end, 0) > number for end in ends)


def test_with_100_ms_of_delay_every_call_has_its_answer_and_no_node_is_thought_dead(made: Appends) -> None:
    begin = time.monotonic()
    made.network.delay(100, [*NODES, *CLIENTS])  # stores and databases lie close together
    with made.load(seed=1):
        time.sleep(8)  # longer than a lease, and than what makes a node suspect
        eventually(lambda: has_counted(made, begin, 20, "append ok", "read ok"))
        end = time.monotonic()
    told = [line for line in made.told() if begin < line["time"] < end]
    assert set(history.counts(told)) == {"append ok", "read ok"}
    # Suspect is who stands still for a moment.
    assert [line["nodes"] for line in told if set(line.get("nodes", {}).values()) - {"up", "suspect"}] == []


@pytest.mark.timeout(300)
def test_whatever_fails_no_append_is_lost_or_doubled_and_no_read_is_stale(made: Appends) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}, history {made.history}")
    nemesis = Nemesis(made, seed)
    begin = time.monotonic()
    with made.load(seed):
        nemesis.run(nemesis.shuffled(), 1, 2)
        eventually(lambda: has_counted(made, begin, 500, "append ok", "read ok"))
    told = [line for line in made.told() if line["time"] > begin]
    assert len([line for line in told if line.get("fault", "").endswith(" is over")]) == len(FAULTS)
    counted = history.counts(told)
    assert counted["append info"] > 0, "some were in the middle of a fault"


def retries(made: Appends, key: int) -> None:
    """It writes again what may have been done."""
    reset_once_done(made, GUEST, key, [GUEST], NODES)
    eventually(lambda: ids_of(made, key) == f"{FIRST},{SECOND},{SECOND}")


def claims(made: Appends, key: int) -> None:
    """It takes what failed for done."""
    made.network.refuse(DATABASE, NODES)
    made.tell(GUEST, "append", key=key, id=SECOND)
    wait_for_guest(made, f'"ok", "function": "append", "key": {key}, "value": {SECOND}')
    made.network.heal()


def remembers(made: Appends, key: int) -> None:
    """It answers what it read before."""
    made.read(GUEST, [key])
    made.tell(GUEST, "append", key=key, id=SECOND)
    wait_for_guest(made, f'"ok", "function": "append", "key": {key}, "value": {SECOND}')
    made.tell(GUEST, "read", key=key)  # by a thread that has not read before
    wait_for_guest(made, f'"ok", "function": "read", "key": {key}, "value": [{FIRST}, {SECOND}]')


def wait_for_guest(made: Appends, text: str) -> None:
    eventually(lambda: guest_file(made).exists() and text in guest_file(made).read_text())


def guest_file(made: Appends) -> pathlib.Path:
    return made.folder / "guest" / f"{GUEST}.jsonl"


@pytest.mark.parametrize(("mistake", "name"), [(retries, "doubled"), (claims, "lost"), (remembers, "stale")])
def test_a_client_that_makes_a_mistake_is_found_out(
    made: Appends, mistake: Callable[[Appends, int], None], name: str
) -> None:
    guest_file(made).unlink(missing_ok=True)
    guest_file(made).parent.mkdir(exist_ok=True)
    made.start_client(GUEST, guest_file(made).parent, mistake=mistake.__name__)
    try:
        wait_for_guest(made, '"n3": "up"')
        key = one_list(made, GUEST)
        mistake(made, key)
        made.read(GUEST, [key])
    finally:
        made.kill(GUEST)
    found = history.problems(history.lines([guest_file(made)]))
    assert any(f"key {key}: {name}: " in each for each in found), found
