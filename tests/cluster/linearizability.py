"""Whether operations on one list (append an id, read the whole) could have happened one at a time, each at a moment
between its begin and its end: Wing and Gong's search with Lowe's memory of what was tried.

Operations that were certainly not done are not given; one of unknown outcome ends FOREVER and may be left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

FOREVER = math.inf

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Operation:
    process: str
    begin: float
    end: float


@dataclass(frozen=True)
class Append(Operation):
    id: int


@dataclass(frozen=True)
class Read(Operation):
    ids: Ids  # the whole list, as it was read


def problems(operations: Sequence[Operation]) -> list[str]:
    """Empty: there is such an order. Else why not, as far as it has a name."""
    if linearizable(operations):
        return []
    appends = {each.id: each for each in operations if isinstance(each, Append)}
    reads = [each for each in operations if isinstance(each, Read)]
    named = [*_forked(reads), *_of_ids(appends, reads), *_stale(reads), *_lost(appends, reads)]
    return list(dict.fromkeys(named)) or ["no order of the calls explains what they answered"]


def linearizable(operations: Sequence[Operation]) -> bool:
    """Whether there is such an order."""
    longest = max((each.ids for each in operations if isinstance(each, Read)), key=len, default=())
    seen = set(longest)

    def counts(each: Operation) -> bool:
        """One of unknown outcome that nobody saw may as well never have been done."""
        return each.end != FOREVER or (isinstance(each, Append) and each.id in seen)

    return _search(sorted(filter(counts, operations), key=lambda each: each.begin), longest)


def _search(operations: list[Operation], longest: Ids) -> bool:
    """Depth first. Operations are in the order of their begins; a set of them is a number with their bits."""
    everything = (1 << len(operations)) - 1
    optional = sum(1 << number for number, each in enumerate(operations) if each.end == FOREVER)
    tried: set[tuple[int, Ids]] = set()
    todo: list[tuple[int, Ids]] = [(0, ())]
    while todo:
        done, state = todo.pop()
        if (done | optional) == everything:
            return True
        if (done, state) in tried:
            continue
        tried.add((done, state))
        fitting = 0
        appends = []
        for number, each in _next(operations, done):
            if isinstance(each, Read) and each.ids == state:
                fitting |= 1 << number
            elif isinstance(each, Append) and longest[len(state) : len(state) + 1] in ((), (each.id,)):
                # All reads are beginnings of the longest one, so what comes next is known as far as that goes.
                appends.append((done | 1 << number, (*state, each.id)))
        # A read that fits changes nothing: taken at once, it leaves all other choices open.
        todo += [(done | fitting, state)] if fitting else appends
    return False


def _next(operations: list[Operation], done: int) -> Iterator[tuple[int, Operation]]:
    """Those that may come next: begun before any other that is left has ended."""
    first = (~done & (done + 1)).bit_length() - 1
    first_end = FOREVER
    for number in range(first, len(operations)):
        each = operations[number]
        if each.begin > first_end:
            return
        if not done >> number & 1:
            first_end = min(first_end, each.end)
            yield number, each


def _forked(reads: list[Read]) -> Iterator[str]:
    longest = max(reads, key=lambda each: len(each.ids), default=None)
    for each in reads:
        if longest is not None and longest.ids[: len(each.ids)] != each.ids:
            yield f"forked: {_told(each)}, which is no beginning of what {_told(longest)}"


def _of_ids(appends: dict[int, Append], reads: list[Read]) -> Iterator[str]:
    for read in reads:
        for number, times in Counter(read.ids).items():
            if times > 1:
                yield f"doubled: {number} stands there {times} times"
            if number not in appends:
                yield f"invented: {number} was read, appended by nobody or said not to have been done"
            elif appends[number].begin > read.end:
                yield f"invented: {number} was read before its append began"


def _stale(reads: list[Read]) -> Iterator[str]:
    for read in reads:
        known = max((each for each in reads if each.end < read.begin), key=lambda each: len(each.ids), default=read)
        if len(known.ids) > len(read.ids):
            yield f"stale: {_told(read)}, after {_told(known)}"


def _lost(appends: dict[int, Append], reads: list[Read]) -> Iterator[str]:
    for append in appends.values():
        for read in reads:
            if append.end < read.begin and append.id not in read.ids:
                yield f"lost: {append.id}, acknowledged to {append.process}, was not in what {_told(read)}"
                break


def _told(read: Read) -> str:
    return f"{read.process} read at {read.end:.3f} ({len(read.ids)} ids, the last ones {list(read.ids[-3:])})"
