"""What the processes of one protocol version said to one another, recorded once and replayed ever after.

`build/venv/bin/python tests/cluster/transcripts.py v1.json` records with the programs of the day: real nodes and a real
client at a real coordinator, through a proxy that writes everything down. Do so once for each protocol version, when it
is released, and never again: the file stands for peers that are not upgraded yet.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import pathlib
import socketserver
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

from processes import PROGRAM, Cluster, Process, eventually

FOLDER = pathlib.Path(__file__).resolve().parent / "transcripts"
# What differs from run to run stands in the file by its name.
NODE = "grpc://NODE"


def read(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / name).read_text())


def field(number: int, value: bytes | int) -> bytes:
    """A field of a protocol buffer."""

    def varint(number: int) -> bytes:
        out = bytearray()
        while number > 127:
            out.append(number & 127 | 128)
            number >>= 7
        return bytes(out) + bytes([number])

    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def ticket(*fields: bytes) -> bytes:
    """A google.protobuf.Any of a cenote.Call."""
    return field(1, b"type.googleapis.com/cenote.Call") + field(2, b"".join(fields))


class Handler(http.server.BaseHTTPRequestHandler):
    """Hands a request to the server's `answer`, which writes the response itself."""

    protocol_version = "HTTP/1.1"

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.answer(self, body)  # type: ignore[attr-defined]

    do_GET = do_POST = do_PUT = do_DELETE = handle_one

    def reply(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, answer: Callable[[Handler, bytes], None]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer

    def handle_error(self, *arguments: object) -> None:
        """A client that goes away in the middle of an answer is no trouble here."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextlib.contextmanager
def serving(answer: Callable[[Handler, bytes], None]) -> Iterator[str]:
    """An HTTP server whose requests `answer` gets; its URL."""
    server = Server(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Recorder:
    """Passes requests on to a coordinator, and writes down the first of each kind."""

    def __init__(self, coordinator: str) -> None:
        self.address = urllib.parse.urlsplit(coordinator).netloc
        self.exchanges: dict[str, dict[str, Any]] = {}
        self.watch = ""

    def __call__(self, handler: Handler, body: bytes) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=60)
        with contextlib.closing(connection):
            kind = {"Content-Type": "application/json"} if body else {}
            connection.request(handler.command, handler.path, body or None, kind)
            answer = connection.getresponse()
            if handler.path.startswith("/v1/watch"):
                self.stream(handler, answer)
                return
            text = answer.read()
            handler.reply(answer.status, text)
        name = f"{handler.command} {urllib.parse.urlsplit(handler.path).path}"
        exchange = {"method": handler.command, "path": handler.path, "status": answer.status}
        exchange["body"] = json.loads(body) if body else None
        exchange["answer"] = json.loads(text) if text else None
        self.exchanges.setdefault(name, exchange)

    def stream(self, handler: Handler, answer: http.client.HTTPResponse) -> None:
        handler.send_response(answer.status)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        with contextlib.suppress(OSError, http.client.HTTPException):
            while piece := answer.readline():
                self.watch += piece.decode()
                handler.wfile.write(piece)
                handler.wfile.flush()


def query(folder: pathlib.Path, url: str, sql: str) -> subprocess.CompletedProcess[str]:
    """A client of today's at the coordinator there."""
    client = folder / "client.yaml"
    client.write_text(json.dumps({"deployment": {"mode": "coordinated", "coordinator": {"endpoint": url}}}))
    command = [PROGRAM, "query", "-c", str(client), "-p", "main_db", "--output", "json", sql]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def record(name: str) -> None:
    import pyarrow.flight as flight  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        cluster = Cluster(folder)
        recorder = Recorder(cluster.url)
        try:
            with serving(recorder) as url:
                cluster.coordinator.address = url
                node = cluster.add("n1")
                # A client whose watch stays: a node that looks at others as any client does.
                cluster.add("n2")
                eventually(lambda: "event: change" in recorder.watch and "event: bookmark" in recorder.watch, 60)
                assert query(folder, url, "select 1").returncode == 0
                eventually(lambda: "PUT /v1/nodes/n1/metrics" in recorder.exchanges, 60)
                calls = [
                    ticket(
                        field(1, 1), field(2, 1), field(3, b"main_db"), field(4, b"select name from who"), field(10, 1)
                    ),
                    ticket(field(1, 1), field(2, 10), field(3, b"main_db")),
                    ticket(field(1, 1), field(2, 2), field(3, b"main_db"), field(4, b"update who set name = name")),
                ]
                told = []
                with flight.connect(node.address) as client:
                    for call in calls:
                        chunk = client.do_get(flight.Ticket(call)).read_chunk()
                        rows = chunk.data.to_pylist()
                        told.append(
                            {"ticket": call.hex(), "rows": rows, "answer": chunk.app_metadata.to_pybytes().hex()}
                        )
                cluster.nodes.pop("n2").end()
                eventually(lambda: "DELETE /v1/nodes/n2" in recorder.exchanges, 60)
            text = json.dumps(
                {"http": list(recorder.exchanges.values()), "watch": recorder.watch, "flight": told}, indent=1
            )
            (FOLDER / name).write_text(text.replace(node.address, NODE) + "\n")
        finally:
            cluster.end()


__all__ = ["NODE", "Process", "query", "read", "serving"]

if __name__ == "__main__":
    record(sys.argv[1])
