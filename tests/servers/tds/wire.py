"""One client: requests in (batches, RPC with bound parameters, attention), streamed results out."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterable

from pysqlbridge.tds.batch import parse_sql_batch
from pysqlbridge.tds.connection import Connection, ConnectionState
from pysqlbridge.tds.login import deobfuscate_password
from pysqlbridge.tds.packet import PacketStatus, PacketType, build_packet
from pysqlbridge.tds.token import EnvChangeType, done, env_change, error, error_response
from pysqlbridge.tds.transaction import TransactionRequestType, parse_transaction_request

from .types import Type, read_parameter

HEADER = 8
BODY = 4096 - HEADER
MORE, ERROR, COUNT, ATTENTION = 0x01, 0x02, 0x10, 0x20
PROCEDURES = {10: "sp_executesql", 11: "sp_prepare", 12: "sp_execute", 13: "sp_prepexec", 15: "sp_unprepare"}


class Attention(Exception):
    """The client asked to stop what runs."""


class Drop(Exception):
    """The socket is to be closed without a word."""


class SqlError(Exception):
    """An error the client is told, with its number."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


class Parameter:
    """One bound value with the type it was declared with."""

    def __init__(self, name: str, kind: Type, value: object, output: bool) -> None:
        self.name, self.kind, self.value, self.output = name, kind, value, output


def parse_calls(data: bytes, tds_version: int) -> list[tuple[str, list[Parameter]]]:
    """The calls of one RPC message: name and parameters of each. Parameter arrays send several at once."""
    at = struct.unpack_from("<I", data)[0] if tds_version >= 0x72000000 else 0
    calls = []
    while at < len(data):
        (length,) = struct.unpack_from("<H", data, at)
        at += 2
        if length == 0xFFFF:
            name = PROCEDURES.get(struct.unpack_from("<H", data, at)[0], "unknown")
            at += 2
        else:
            name = data[at : at + 2 * length].decode("utf-16-le")
            at += 2 * length
        at += 2
        parameters = []
        while at < len(data) and data[at] not in (0xFF, 0xFE, 0x80):
            chars = data[at]
            label = data[at + 1 : at + 1 + 2 * chars].decode("utf-16-le")
            at += 1 + 2 * chars
            status = data[at]
            kind, value, at = read_parameter(data, at + 1)
            parameters.append(Parameter(label, kind, value, bool(status & 1)))
        at += 1
        calls.append((name, parameters))
    return calls


class Answer:
    """Writes one response message, packet by packet, and sees an attention that arrives meanwhile."""

    def __init__(self, session: Session, in_procedure: bool) -> None:
        self.session, self.in_procedure = session, in_procedure
        self.buffer = bytearray()
        self.pending: tuple[int, int, int] | None = None  # the last DONE: it needs to know whether more follows
        self.columns: list[tuple[str, Type]] = []

    def write(self, data: bytes) -> None:
        self.buffer += data
        while len(self.buffer) > BODY:
            self.session.send_packet(bytes(self.buffer[:BODY]), last=False)
            del self.buffer[:BODY]

    def done(self, status: int, command: int = 0, count: int = 0) -> None:
        self.flush_done(MORE)
        self.pending = (status | (COUNT if command else 0), command, count)

    def flush_done(self, more: int) -> None:
        if self.pending:
            status, command, count = self.pending
            token = 0xFF if self.in_procedure else 0xFD
            self.write(struct.pack("<BHHQ", token, status | more, command, count))
            self.pending = None

    def describe(self, columns: list[tuple[str, Type]]) -> None:
        self.flush_done(MORE)
        self.columns = columns
        out = b"\x81" + struct.pack("<H", len(columns))
        for name, kind in columns:
            text = name.encode("utf-16-le")
            out += struct.pack("<IH", 0, 0x0009) + kind.info() + bytes([len(text) // 2]) + text
        self.write(out)

    def rows(self, rows: Iterable[Iterable[object]]) -> int:
        encoders = [kind.encode for _, kind in self.columns]
        count = 0
        for row in rows:
            out = bytearray(b"\xd1")
            for encode, value in zip(encoders, row, strict=True):
                out += encode(value)
            self.write(bytes(out))
            count += 1
            if count % 256 == 0:
                self.poll()
        return count

    def result(self, columns: list[tuple[str, Type]], rows: Iterable[Iterable[object]]) -> None:
        self.describe(columns)
        self.done(0, 0xC1, self.rows(rows))

    def error(self, number: int, message: str) -> None:
        self.flush_done(MORE)
        self.write(error(number, message[:2000], severity=14 if number < 2000 else 16, server="cenote"))
        self.done(ERROR)

    def transaction(self, kind: EnvChangeType, descriptor: bytes) -> None:
        began = kind is EnvChangeType.BEGIN_TRAN
        self.flush_done(MORE)
        self.write(env_change(kind, descriptor if began else b"", b"" if began else descriptor))

    def poll(self, wait: float = 0) -> None:
        """Raises Attention if the client sent one; waits up to `wait` seconds for it."""
        if self.session.attention(wait):
            raise Attention

    def values(self, status: int, outputs: list[tuple[str, Type, object]]) -> None:
        """What ends a call: its output values and its return status."""
        self.flush_done(MORE)
        self.write(struct.pack("<Bi", 0x79, status))
        for ordinal, (name, kind, value) in enumerate(outputs):
            text = name.encode("utf-16-le")
            head = struct.pack("<BHB", 0xAC, ordinal, len(text) // 2) + text + struct.pack("<BIH", 1, 0, 0)
            self.write(head + kind.info(in_row=False) + kind.encode(value))

    def finish(self, attention: bool = False) -> None:
        if attention:
            self.pending = None
            self.write(struct.pack("<BHHQ", 0xFD, ATTENTION, 0, 0))
        elif self.in_procedure:
            self.flush_done(MORE)
            self.write(struct.pack("<BHHQ", 0xFE, 0, 0, 0))
        else:
            if not self.pending:
                self.pending = (0, 0, 0)
            self.flush_done(0)
        self.session.send_packet(bytes(self.buffer), last=True)
        self.buffer.clear()


class Session(Connection):
    """pysqlbridge's login, then requests answered by an engine."""

    def __init__(self, certificate, link: socket.socket, logins, make_engine) -> None:  # noqa: ANN001
        super().__init__(certificate, logins=logins, server_name="cenote-test", database="master")
        self.link = link
        self.make_engine = make_engine
        self.engine = None
        self.packet_number = 0
        self.descriptor = 0

    @property
    def spid(self) -> int:
        return self._spid

    @property
    def login_name(self) -> str:
        return self._login.user_name if self._login else ""

    def _answer_sql_login(self, responses: list[bytes]) -> bool:
        user = self.login_name
        if user == "silent":
            self.link.settimeout(3600)
            while self.link.recv(65536):
                pass
            raise Drop
        if user.startswith("error_"):
            number = int(user.split("_")[1])
            text = f"Login refused with error {number}."
            self._send(responses, error_response(number, text, severity=14, tds_version=self._tds_version))
            self._state = ConnectionState.FAILED
            return True
        if user.startswith("admit_") and deobfuscate_password(self._login.password):
            self._finish_login(responses)
            return True
        return super()._answer_sql_login(responses)

    def send_packet(self, payload: bytes, last: bool) -> None:
        status = PacketStatus.END_OF_MESSAGE if last else PacketStatus.NORMAL
        self.packet_number = self.packet_number % 255 + 1
        packet = build_packet(
            PacketType.TABULAR_RESULT, payload, status=status, spid=self._spid, packet_id=self.packet_number
        )
        encrypted = self._session_encrypted and self._tunnel is not None
        self.link.sendall(self._tunnel.wrap(packet) if encrypted else packet)

    def _take_message(self):  # noqa: ANN202
        """The next whole request, read without copying what is left for each packet."""
        source = self._buffer
        if self._session_encrypted and self._tunnel is not None:
            if self._buffer:
                self._plaintext += self._tunnel.unwrap(bytes(self._buffer))
                self._buffer.clear()
            source = self._plaintext
        at, last = 0, False
        while not last:  # headers alone: a long request is copied once, not with each piece that arrives
            if len(source) - at < HEADER:
                return None
            _, status, length = struct.unpack_from(">BBH", source, at)
            if len(source) - at < length:
                return None
            at += length
            last = bool(status & 1)
        payload, end, at = bytearray(), at, 0
        kind, first, _ = struct.unpack_from(">BBH", source)
        while at < end:
            _, _, length = struct.unpack_from(">BBH", source, at)
            payload += source[at + HEADER : at + length]
            at += length
        del source[:end]
        return PacketType(kind), first, bytes(payload)

    def attention(self, wait: float) -> bool:
        message = self._take_message()  # it may have come together with the request
        if message is None:
            readable, _, _ = select.select([self.link], [], [], wait)
            if not readable:
                return False
            data = self.link.recv(65536)
            if not data:
                raise Drop
            self._buffer += data
            message = self._take_message()
        return message is not None and message[0] is PacketType.ATTENTION

    def next_descriptor(self) -> bytes:
        self.descriptor += 1
        return self.descriptor.to_bytes(8, "little")

    def _step_query(self, responses: list[bytes]) -> bool:
        message = self._take_message()
        if message is None:
            return False
        kind, status, payload = message
        if self.engine is None:
            self.engine = self.make_engine(self)
        if status & (PacketStatus.RESET_CONNECTION | PacketStatus.RESET_CONNECTION_SKIP_TRAN):
            self.engine.reset()
        if kind is PacketType.ATTENTION:
            self.send_packet(done(status=ATTENTION), last=True)
            return True
        answer = Answer(self, in_procedure=kind is PacketType.RPC)
        try:
            if kind is PacketType.SQL_BATCH:
                self.engine.run(parse_sql_batch(payload, self._tds_version), [], answer)
            elif kind is PacketType.RPC:
                for number, (name, parameters) in enumerate(parse_calls(payload, self._tds_version)):
                    if number:
                        answer.flush_done(MORE)
                        answer.write(struct.pack("<BHHQ", 0xFE, MORE, 0, 0))
                    self.engine.call(name, parameters, answer)
            elif kind is PacketType.TRANSACTION_MANAGER:
                self.engine.run(transaction_statement(payload, self._tds_version), [], answer)
            answer.finish()
        except Attention:
            self.engine.cancelled()
            answer.finish(attention=True)
        return True

    def close(self) -> None:
        if self.engine is not None:
            self.engine.close()


def transaction_statement(payload: bytes, tds_version: int) -> str:
    request = parse_transaction_request(payload, tds_version)
    name = f" {request.name}" if request.name else ""
    # A commit or rollback may ask for the next transaction: a flag follows its name.
    body = payload[struct.unpack_from("<I", payload)[0] + 2 :]
    ends = request.kind in (TransactionRequestType.COMMIT_XACT, TransactionRequestType.ROLLBACK_XACT)
    again = "; begin transaction" if ends and body[1 + body[0]] & 1 else ""
    return {
        TransactionRequestType.BEGIN_XACT: f"begin transaction{name}",
        TransactionRequestType.COMMIT_XACT: "commit transaction",
        TransactionRequestType.ROLLBACK_XACT: f"rollback transaction{name}",
        TransactionRequestType.SAVE_XACT: f"save transaction{name}",
    }[request.kind] + again
