"""What a stranger may take of a node: its memory, threads and files stay bounded, and others are served meanwhile."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import time
from collections.abc import Callable, Iterator

import pyarrow
import pyarrow.flight as flight
import pytest
from nodes import Node, config_of, make_shop, running
from test_raw import field, query, value

MIB = 1 << 20
# How HTTP/2 begins, with empty settings.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
CALLS = 32
# The acceptance is 10,000, which a busy machine takes minutes for.
STREAMS = int(os.environ.get("CENOTE_STREAMS", "1000"))
# One row after the other, for as long as somebody reads.
ENDLESS = "with recursive s(i) as (select 1 union all select i + 1 from s where i < 100000000000) select i from s"


@pytest.fixture
def bounded(tmp_path: pathlib.Path) -> Iterator[Node]:
    make_shop(tmp_path / "shop.db")
    config = config_of(tmp_path, flight={"max_calls": CALLS})
    config["deployment"]["pools"][0]["pool"]["max_readers"] = CALLS
    with running(tmp_path, config) as node:
        yield node


def status(node: Node, key: str) -> int:
    """A number of /proc/PID/status; sizes are in KiB."""
    text = pathlib.Path(f"/proc/{node.process.pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith(key + ":")).split()[1])


def memory(node: Node) -> int:
    """The most memory that the node has ever had."""
    return status(node, "VmHWM") << 10


def files(node: Node) -> int:
    return len(os.listdir(f"/proc/{node.process.pid}/fd"))


def eventually(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def ingest(table: str) -> flight.FlightDescriptor:
    mode = field(1, b"\x08\x01")  # create the table
    value = mode + field(2, table.encode())
    wrapped = field(1, b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementIngest") + field(2, value)
    return flight.FlightDescriptor.for_command(wrapped)


def test_a_batch_of_64_mib_is_refused_and_leaves_nothing_behind(bounded: Node) -> None:
    batch = pyarrow.record_batch([pyarrow.array([b"x" * (64 * MIB)], pyarrow.binary())], names=["raw"])
    with flight.connect(bounded.uri) as client:
        assert value(client, "select 1") == 1
        before = memory(bounded)
        for _ in range(10):
            with pytest.raises((pyarrow.ArrowException, flight.FlightError), match="larger than the node takes"):  # noqa: PT012
                writer, _ = client.do_put(ingest("large"), batch.schema)
                with contextlib.suppress(pyarrow.ArrowException):
                    writer.write_batch(batch)
                writer.close()
        assert memory(bounded) - before < 7 * 64 * MIB, "one message and its copies, not ten"
        assert value(client, "select count(*) from sqlite_master where name = 'large'") == 0


def test_a_statement_of_64_mib_is_refused(bounded: Node) -> None:
    with flight.connect(bounded.uri) as client:
        assert value(client, "select 1") == 1
        before = memory(bounded)
        for _ in range(5):
            with pytest.raises((pyarrow.ArrowException, flight.FlightError), match="larger than the node takes"):
                client.get_flight_info(query("select '" + "x" * (64 * MIB) + "'"))
        assert memory(bounded) - before < 8 * 64 * MIB
        assert value(client, "select 1") == 1


def test_of_any_number_of_streams_the_node_takes_its_bound(bounded: Node) -> None:
    ticket = flight.Ticket(
        field(1, b"type.googleapis.com/cenote.Call")
        + field(2, b"\x08\x01\x10\x01" + field(3, b"shop") + field(4, ENDLESS.encode()))
    )
    with flight.connect(bounded.uri) as client:
        assert value(client, "select 1") == 1
        before = memory(bounded)
        held, refused = [], 0
        for _ in range(STREAMS):
            try:
                held.append(client.do_get(ticket))
            except flight.FlightUnavailableError as error:
                assert "its max_calls" in str(error)  # noqa: PT017
                refused += 1
        assert len(held) == CALLS
        assert refused == STREAMS - CALLS
        assert status(bounded, "Threads") < 4 * CALLS + 64
        # Three batches of each stream, of 65,000 numbers, and what gRPC has on its way.
        assert memory(bounded) - before < CALLS * 16 * MIB
        for stream in held:
            stream.cancel()
        assert eventually(lambda: succeeds(lambda: value(client, "select count(*) from customers") == 2))


def succeeds(call: Callable[[], bool]) -> bool:
    try:
        return call()
    except (pyarrow.ArrowException, flight.FlightError):
        return False


@pytest.mark.parametrize("hello", [b"", PREFACE], ids=["silent", "greeting"])
def test_connections_that_say_nothing_cost_little_and_hold_up_nobody(bounded: Node, hello: bytes) -> None:
    host, port = bounded.address.split(":")
    with flight.connect(bounded.uri) as client, contextlib.ExitStack() as idle:
        assert value(client, "select 1") == 1
        before, open_before = memory(bounded), files(bounded)
        for _ in range(500):
            connection = idle.enter_context(socket.create_connection((host, int(port)), timeout=60))
            connection.sendall(hello)
        assert eventually(lambda: files(bounded) >= open_before + 400)
        assert value(client, "select count(*) from customers") == 2
        assert memory(bounded) - before < 100 * MIB
        idle.close()
        assert eventually(lambda: files(bounded) <= open_before + 8), "they are closed with their peers"


def test_damaged_parameters_of_a_call_are_refused(bounded: Node) -> None:
    call = b"\x08\x01\x10\x01" + field(3, b"shop") + field(4, b"select ?")
    with flight.connect(bounded.uri) as client:
        for params in (b"\xff" * 64, b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"ARROW1"):
            wrapped = field(1, b"type.googleapis.com/cenote.Call") + field(2, call + field(5, params))
            with pytest.raises(pyarrow.ArrowInvalid, match="parameters of the call are damaged"):
                client.do_get(flight.Ticket(wrapped)).read_all()
        assert value(client, "select 1") == 1
