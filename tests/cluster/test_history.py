"""The judge of histories sees lost, doubled, stale, invented and forked lists, and calls without an end."""

from __future__ import annotations

import itertools
import json
import pathlib
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import history
import linearizability
import pytest
from history import NotDone, Recorder, Unknown
from linearizability import FOREVER, Append, Operation, Read, linearizable

Line = dict[str, Any]


def honest(seed: int, writers: int = 4, calls: int = 30, fails: float = 0.2) -> tuple[list[Line], random.Random]:
    """The lines of processes that append and read one list, each call done at some moment within it, or not done."""
    chance = random.Random(seed)
    free = dict.fromkeys((f"p{number}" for number in range(writers)), 0.0)
    events: list[tuple[float, str, str, int, bool, str]] = []  # when done, by whom, what, which id, whether, how told
    lines: list[Line] = []
    for number in range(1, calls + 1):
        process = min(free, key=lambda each: free[each])
        begin = free[process] + chance.random()
        end = begin + 3 * chance.random()
        free[process] = end + 0.01
        function = chance.choice(["append", "read"])
        told = chance.choice(["fail", "info"]) if chance.random() < fails else "ok"
        # One of unknown outcome may be done long after its caller was told so.
        until = end + 5 if told == "info" else end
        done = told == "ok" or (told == "info" and chance.random() < 0.5)
        value = number if function == "append" else None
        lines.append(
            {"time": begin, "process": process, "type": "invoke", "function": function, "key": 1, "value": value}
        )
        lines.append({"time": end, "process": process, "type": told, "function": function, "key": 1, "value": value})
        if told != "ok":
            lines[-1]["error"] = "no connection"
        events.append((chance.uniform(begin, until), process, function, len(lines) - 1, done, told))
    state: list[int] = []
    for _, _, function, line, done, told in sorted(events):
        if function == "read" and told == "ok":
            lines[line]["value"] = list(state)
        elif function == "append" and done:
            state.append(lines[line]["value"])
    last = max(line["time"] for line in lines) + 10
    lines += [{"time": last + step, "process": "last", "type": kind, "function": "read", "key": 1, "value": state}
              for step, kind in enumerate(("invoke", "ok"))]  # fmt: skip
    return sorted(lines, key=lambda line: line["time"]), chance


SEEDS = range(200)


def test_an_honest_history_is_linearizable() -> None:
    for seed in SEEDS:
        lines, _ = honest(seed)
        assert history.problems(lines) == [], seed


def reads_of(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line["type"] == "ok" and line["function"] == "read"]


def acknowledged(lines: list[Line]) -> list[int]:
    return [line["value"] for line in lines if line["type"] == "ok" and line["function"] == "append"]


def lose(lines: list[Line], chance: random.Random) -> None:
    """An acknowledged append, from each list."""
    gone = chance.choice(acknowledged(lines))
    for line in reads_of(lines):
        line["value"] = [number for number in line["value"] if number != gone]


def lose_from_the_last_read(lines: list[Line], chance: random.Random) -> None:
    last = reads_of(lines)[-1]
    sure = acknowledged(lines)
    last["value"] = last["value"][: max(at for at, number in enumerate(last["value"]) if number in sure)]


def double(lines: list[Line], chance: random.Random) -> None:
    """As when a write whose outcome is unknown is tried again: the id stands there once more, from some read on."""
    last = reads_of(lines)[-1]["value"]
    again = chance.choice(last)
    at = chance.randint(last.index(again) + 1, len(last))
    for line in reads_of(lines):
        if len(line["value"]) >= at:
            line["value"] = [*line["value"][:at], again, *line["value"][at:]]


def invent(lines: list[Line], chance: random.Random) -> None:
    last = reads_of(lines)[-1]["value"]
    last.insert(chance.randint(0, len(last)), 999)


def deny(lines: list[Line], chance: random.Random) -> None:
    """What was done is said not to have been."""
    done = chance.choice([number for number in reads_of(lines)[-1]["value"] if number in acknowledged(lines)])
    line = next(line for line in lines if line["type"] == "ok" and line["value"] == done)
    line |= {"type": "fail", "error": "not sent"}


def read_before(lines: list[Line], chance: random.Random) -> None:
    """A read that is answered from what was known before."""
    lines += [{"time": lines[-1]["time"] + 1 + step, "process": "late", "type": kind, "function": "read", "key": 1,
               "value": lines[-1]["value"][:-1]} for step, kind in enumerate(("invoke", "ok"))]  # fmt: skip


def fork(lines: list[Line], chance: random.Random) -> None:
    last = reads_of(lines)[-1]["value"]
    lines += [{"time": lines[-1]["time"] + 1 + step, "process": "other", "type": kind, "function": "read", "key": 1,
               "value": last[::-1]} for step, kind in enumerate(("invoke", "ok"))]  # fmt: skip


MISTAKES: dict[str, tuple[Callable[[list[Line], random.Random], None], str]] = {
    "a lost write": (lose, "lost"),
    "a write that the last read misses": (lose_from_the_last_read, "lost|stale"),
    "a doubled write": (double, "doubled"),
    "an invented write": (invent, "invented"),
    "a denied write": (deny, "invented"),
    "a stale read": (read_before, "stale"),
    "two orders": (fork, "forked"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_wherever_it_is_planted(mistake: str) -> None:
    plant, names = MISTAKES[mistake]
    for seed in SEEDS:
        lines, chance = honest(seed)
        if len(acknowledged(lines)) < 2 or len(reads_of(lines)[-1]["value"]) < 2:
            continue
        plant(lines, chance)
        found = history.problems(lines)
        assert any(each.startswith("key 1: ") and any(name in each for name in names.split("|")) for each in found), (
            seed,
            found,
        )


def test_an_append_that_was_acknowledged_before_another_began_stands_before_it() -> None:
    """No id is lost and none is there twice: only the search sees it."""
    done = [Append("a", 0, 1, 1), Append("b", 2, 3, 2), Read("c", 4, 5, (2, 1))]
    assert linearizability.problems(done) == ["no order of the calls explains what they answered"]
    at_once = [Append("a", 0, 3, 1), Append("b", 2, 3, 2), Read("c", 4, 5, (2, 1))]
    assert linearizability.problems(at_once) == []


def test_a_write_of_unknown_outcome_may_come_late_or_never() -> None:
    unknown = Append("a", 0, FOREVER, 1)
    first, second = Read("b", 1, 2, ()), Append("b", 3, 4, 2)
    assert linearizable([unknown, first, second, Read("b", 5, 6, (2,))])
    assert linearizable([unknown, first, second, Read("b", 5, 6, (2,)), Read("b", 7, 8, (2, 1))])
    assert linearizable([unknown, first, second, Read("b", 5, 6, (1, 2))])
    assert not linearizable([unknown, Read("b", 1, 2, (1,)), Read("b", 3, 4, ())])


def by_trying_all(operations: Sequence[Operation]) -> bool:
    """The definition, word for word: slow, and so simple that it needs no test."""
    sure = [each for each in operations if each.end != FOREVER]
    maybe = [each for each in operations if each.end == FOREVER]
    chosen = itertools.chain.from_iterable(itertools.combinations(maybe, count) for count in range(len(maybe) + 1))
    return any(
        explains(order) and in_time(order) for some in chosen for order in itertools.permutations([*sure, *some])
    )


def explains(order: Sequence[Operation]) -> bool:
    state: tuple[int, ...] = ()
    for each in order:
        if isinstance(each, Append):
            state = (*state, each.id)
        elif isinstance(each, Read) and each.ids != state:
            return False
    return True


def in_time(order: Sequence[Operation]) -> bool:
    return all(earlier.begin <= later.end for earlier, later in itertools.combinations(order, 2))


def test_the_search_agrees_with_trying_all_orders() -> None:
    answers = []
    for seed in range(1500):
        chance = random.Random(seed)
        made: list[Operation] = []
        for number in range(chance.randint(2, 6)):
            begin = chance.randint(0, 8)
            end: float = begin + chance.randint(0, 5)
            if chance.random() < 0.5:
                made.append(Append(f"p{number}", begin, FOREVER if chance.random() < 0.3 else end, number))
            else:
                ids = [each.id for each in made if isinstance(each, Append)]
                chance.shuffle(ids)
                made.append(Read(f"p{number}", begin, end, tuple(ids[: chance.randint(0, len(ids))])))
        chance.shuffle(made)
        answers.append(linearizable(made))
        assert answers[-1] == by_trying_all(made), (seed, made)
    assert 300 < sum(answers) < 1200, "both answers are tried"


def record(path: pathlib.Path) -> None:
    recorder = Recorder(path)
    state: list[int] = []

    def append(number: int, told: Exception | None = None) -> None:
        state.append(number)
        if told is not None:
            raise told

    recorder.call("a", "append", 7, 1, lambda: append(1))
    recorder.call("a", "append", 7, 2, lambda: append(2, Unknown("the connection was reset")))
    recorder.call("a", "read", 7, None, lambda: list(state))
    recorder.call("a", "append", 8, 3, lambda: append(3, NotDone("no node")))
    recorder.close()


def judge(path: pathlib.Path) -> subprocess.CompletedProcess[str]:
    program = pathlib.Path(__file__).with_name("history.py")
    return subprocess.run([sys.executable, program, path], capture_output=True, text=True, check=False)


def test_a_recorded_history_can_be_judged_by_one_command(tmp_path: pathlib.Path) -> None:
    record(tmp_path / "a.jsonl")
    done = judge(tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "linearizable"), done.stdout + done.stderr
    assert "append fail: 1, append info: 1, append ok: 1, read ok: 1" in done.stdout
    with (tmp_path / "b.jsonl").open("w") as more:  # of another process, later
        for kind, when, value in (("invoke", 1e12, None), ("ok", 2e12, [1])):
            line = {"time": when, "process": "b", "type": kind, "function": "read", "key": 7, "value": value}
            more.write(json.dumps(line) + "\n")
    done = judge(tmp_path)
    assert done.returncode == 1
    assert "key 7: stale: b read" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 problems"


def test_a_history_whose_ids_are_not_unique_is_refused(tmp_path: pathlib.Path) -> None:
    recorder = Recorder(tmp_path / "a.jsonl")
    for process in ("a", "b"):
        recorder.call(process, "append", 1, 5, lambda: True)
    recorder.close()
    found = history.problems(history.lines([tmp_path]))
    assert found == ["b appends 5 to 1 once more: such a history proves nothing"]


def test_a_call_without_a_clear_end_is_a_problem(tmp_path: pathlib.Path) -> None:
    recorder = Recorder(tmp_path / "a.jsonl")
    recorder.write("hangs", "invoke", function="read", key=1, value=None)

    def fail(error: Exception) -> None:
        raise error

    recorder.call("mumbles", "append", 1, 1, lambda: fail(Unknown("")))
    with pytest.raises(RuntimeError):
        recorder.call("breaks", "append", 1, 2, lambda: fail(RuntimeError("what now")))
    recorder.close()
    found = history.problems(history.lines([tmp_path]))
    assert found == [
        "a call of mumbles ended without a clear error: ''",
        "a call of breaks ended without a clear error: \"RuntimeError('what now')\"",
        "a call of hangs never ended: read of key 1",
    ]
