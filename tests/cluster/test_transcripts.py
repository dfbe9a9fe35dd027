"""Peers of other versions: recorded ones of each version there was, and one that says more than we know."""

from __future__ import annotations

import contextlib
import http.client
import json
import pathlib
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pyarrow
import pyarrow.flight as flight
import pytest
from processes import Cluster, eventually
from transcripts import FOLDER, NODE, Handler, field, query, read, serving, ticket

# Keys of version 1 that nobody had a reason for in the recording.
UNSAID = {"lag_ms", "config_rejected", "config_reason", "draining", "peers", "zone", "admin", "labels"}
VERSIONS = sorted(file.name for file in FOLDER.glob("v*.json"))


@pytest.fixture
def cluster(tmp_path: pathlib.Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    try:
        yield made
    finally:
        made.end()


def later(value: Any) -> Any:
    """The same as a newer version might say it: with more in every object."""
    if isinstance(value, dict):
        more = {key: later(each) for key, each in value.items()}
        if "labels" in more:  # free text by free keys, in every version
            more["labels"] = value["labels"]
        return {**more, "of_a_later_version": {"and": ["more"]}}
    return [later(each) for each in value] if isinstance(value, list) else value


def newer(body: dict[str, Any]) -> dict[str, Any]:
    return {**later(body), "protocol": 2}


def holds(old: Any, new: Any, where: str = "") -> None:
    """Whatever was said then is still said, and is of the same type."""
    assert type(old) is type(new) or {type(old), type(new)} <= {int, float}, where
    if isinstance(old, dict):
        for key, value in old.items():
            assert key in new, f"{where}/{key}"
            if value is not None and new[key] is not None:
                holds(value, new[key], f"{where}/{key}")
    if isinstance(old, list) and old and new:
        holds(old[0], new[0], f"{where}/0")


def replay(
    url: str, exchanges: list[dict[str, Any]], change: Any = lambda body: body
) -> Iterator[tuple[dict, int, Any]]:
    """Says what the recorded peer said; what it got from the coordinator then is what it gets now."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=60)
    lease = None
    with contextlib.closing(connection):
        for exchange in exchanges:
            body = exchange["body"] and change(
                json.loads(json.dumps(exchange["body"]).replace(NODE, "grpc://127.0.0.1:1"))
            )
            if body and "lease" in body:
                body["lease"] = lease
            kind = {"Content-Type": "application/json"} if body else {}
            connection.request(exchange["method"], exchange["path"], json.dumps(body) if body else None, kind)
            answer = connection.getresponse()
            heard = json.loads(answer.read() or b"null")
            lease = (heard or {}).get("lease", lease)
            yield exchange, answer.status, heard


@pytest.mark.parametrize("version", VERSIONS)
def test_an_older_node_and_client_are_understood_by_this_coordinator(cluster: Cluster, version: str) -> None:
    told = read(version)["http"]
    of_one = [each for each in told if "/n2" not in each["path"] and (each["body"] or {}).get("node_id") != "n2"]
    assert len(of_one) >= 4
    for exchange, status, heard in replay(cluster.url, of_one):
        assert status == exchange["status"], (exchange, heard)
        holds(exchange["answer"], heard)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_newer_node_is_understood_by_this_coordinator(cluster: Cluster, version: str) -> None:
    told = [each for each in read(version)["http"] if (each["body"] or {}).get("node_id") == "n1"]
    assert {each["method"] for each in told} == {"POST", "PUT"}
    for exchange, status, heard in replay(cluster.url, told, newer):
        assert status == exchange["status"], (exchange, heard)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_node_of_this_version_with_a_key_that_nobody_knows_is_told_so(cluster: Cluster, version: str) -> None:
    told = [each for each in read(version)["http"] if each["path"] == "/v1/nodes" and each["body"]][:1]
    for _, status, heard in replay(cluster.url, told, later):
        assert status == 422
        assert "of_a_later_version: is not known" in heard["detail"]


class Canned:
    """A coordinator of another version, by what it said once."""

    def __init__(self, transcript: dict[str, Any], location: str, *, more: bool) -> None:
        self.more = more
        self.location = location
        self.asked: list[tuple[str, str, Any]] = []
        self.watch = transcript["watch"]
        self.answers = {}
        for each in transcript["http"]:
            path = urllib.parse.urlsplit(each["path"]).path
            self.answers[each["method"], path] = (each["status"], each["answer"])
        self.ended = threading.Event()

    def said(self, text: str) -> bytes:
        return text.replace(NODE, self.location).encode()

    def __call__(self, handler: Handler, body: bytes) -> None:
        path = urllib.parse.urlsplit(handler.path).path
        self.asked.append((handler.command, path, json.loads(body) if body else None))
        if path == "/v1/watch":
            handler.send_response(200)
            handler.send_header("Content-Type", "text/event-stream")
            handler.send_header("Connection", "close")
            handler.end_headers()
            handler.close_connection = True
            if self.more:
                handler.wfile.write(b"event: of_a_later_version\ndata: not even JSON\n\n")
            handler.wfile.flush()
            self.ended.wait(60)
            return
        status, answer = self.answers.get((handler.command, path), (404, {"detail": "no such path in this version"}))
        if answer is not None and self.more:
            answer = later(answer)
        handler.reply(status, self.said(json.dumps(answer)))


def with_node(transcript: dict[str, Any]) -> dict[str, Any]:
    """The list as it was once the node had come: the last change, taken into the list."""
    lines = [line[len("data: ") :] for line in transcript["watch"].splitlines() if line.startswith("data: ")]
    nodes = [change["node"] for change in map(json.loads, lines) if change.get("node")]
    listing = next(each for each in transcript["http"] if each["method"] == "GET" and each["path"] == "/v1/nodes")
    listing["answer"]["nodes"] = [node for node in nodes if node["node_id"] == "n1"][-1:] or listing["answer"]["nodes"]
    return transcript


@pytest.mark.parametrize("more", [False, True], ids=["older", "newer"])
@pytest.mark.parametrize("version", VERSIONS)
def test_this_client_understands_a_coordinator(
    cluster: Cluster, tmp_path: pathlib.Path, version: str, more: bool
) -> None:
    canned = Canned(with_node(read(version)), cluster.add("n1").address, more=more)
    with serving(canned) as url:
        done = query(tmp_path, url, "select name from who")
        canned.ended.set()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{"name": "n1"}]


@pytest.mark.parametrize("more", [False, True], ids=["older", "newer"])
@pytest.mark.parametrize("version", VERSIONS)
def test_this_node_is_understood_by_a_coordinator(cluster: Cluster, version: str, more: bool) -> None:
    transcript = read(version)
    canned = Canned(transcript, "grpc://127.0.0.1:1", more=more)
    with serving(canned) as url:
        cluster.coordinator.address, real = url, cluster.coordinator.address
        cluster.add("n1")
        cluster.coordinator.address = real
        eventually(lambda: sum(path == "/v1/nodes/n1/heartbeat" for _, path, _ in canned.asked) >= 2, 60)
        canned.ended.set()
        cluster.nodes.pop("n1").end()
    asked = [(method, path) for method, path, _ in canned.asked]
    assert ("POST", "/v1/nodes") not in asked[asked.index(("PUT", "/v1/nodes/n1/heartbeat")) :], "its lease held"

    # A coordinator refuses keys that it does not know, unless the node says that it is newer.
    recorded = {(each["method"], each["path"]): each["body"] for each in transcript["http"]}
    for method, path, body in canned.asked:
        if body and body.get("protocol", 1) <= 1 and (method, path) in recorded:
            known(body, recorded[method, path])


def known(new: Any, old: Any) -> None:
    """Every key of the new was there in the old, or the protocol's number would have to grow."""
    if isinstance(new, dict):
        assert set(new) <= set(old) | UNSAID
        for key in set(new) & set(old):
            known(new[key], old[key])
    if isinstance(new, list) and new and old:
        known(new[0], old[0])


@pytest.mark.parametrize("version", VERSIONS)
def test_an_older_client_is_understood_by_this_node(cluster: Cluster, version: str) -> None:
    node = cluster.add("n1")
    for told in read(version)["flight"]:
        with flight.connect(node.address) as client:
            chunk = client.do_get(flight.Ticket(bytes.fromhex(told["ticket"]))).read_chunk()
            assert chunk.data.to_pylist() == told["rows"]
            assert chunk.app_metadata is not None


def test_a_newer_client_is_understood_or_told_what_to_upgrade(cluster: Cluster) -> None:
    call = [field(2, 1), field(3, b"main_db"), field(4, b"select name from who")]
    with flight.connect(cluster.add("n1").address) as client:
        more = ticket(field(1, 1), *call, field(2001, b"more"), field(2002, 7))
        assert client.do_get(flight.Ticket(more)).read_all().to_pylist() == [{"name": "n1"}]
        with pytest.raises(pyarrow.ArrowNotImplementedError, match="upgrade the nodes before the clients"):
            client.do_get(flight.Ticket(ticket(field(1, 2), *call))).read_all()
        with pytest.raises(pyarrow.ArrowNotImplementedError, match="is the client newer"):
            client.do_get(flight.Ticket(ticket(field(1, 1), field(2, 99)))).read_all()


class CannedNode(flight.FlightServerBase):
    """A node of another version, by what it said once."""

    def __init__(self, answers: list[dict[str, Any]], more: bytes) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self.answers = answers
        self.more = more
        self.tickets: list[bytes] = []

    def do_get(self, context: flight.ServerCallContext, ticket: flight.Ticket) -> flight.FlightDataStream:
        self.tickets.append(ticket.ticket)
        told = next(each for each in self.answers if each["rows"])
        batch = pyarrow.RecordBatch.from_pylist(told["rows"])
        metadata = bytes.fromhex(told["answer"]) + self.more
        return flight.GeneratorStream(batch.schema, iter([(batch, pyarrow.py_buffer(metadata))]))


@pytest.mark.parametrize("more", [b"", field(2001, b"more") + field(2002, 7)], ids=["older", "newer"])
@pytest.mark.parametrize("version", VERSIONS)
def test_this_client_understands_a_node(tmp_path: pathlib.Path, version: str, more: bytes) -> None:
    transcript = read(version)
    with CannedNode(transcript["flight"], more) as node:
        canned = Canned(with_node(transcript), f"grpc://127.0.0.1:{node.port}", more=False)
        with serving(canned) as url:
            done = query(tmp_path, url, "select name from who")
            canned.ended.set()
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == [{"name": "n1"}]
        assert len(node.tickets) == 1
