"""Raw Flight calls on a node: damaged bytes, handles of others, bounds, TLS, and how it starts and ends."""

from __future__ import annotations

import json
import pathlib
import subprocess

import adbc_driver_flightsql.dbapi as flightsql
import pyarrow
import pyarrow.flight as flight
import pytest
from adbc_driver_flightsql import DatabaseOptions
from nodes import COMMAND, USERS, Node, config_of, running

SQL = "arrow.flight.protocol.sql."


def field(number: int, data: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    out, size = bytearray([number << 3 | 2]), len(data)
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    return bytes(out) + bytes([size]) + data


def any_of(name: str, *fields: bytes) -> bytes:
    """A google.protobuf.Any of a Flight SQL message."""
    value = b"".join(field(number, data) for number, data in enumerate(fields, 1))
    return field(1, f"type.googleapis.com/{SQL}{name}".encode()) + field(2, value)


def query(sql: str) -> flight.FlightDescriptor:
    return flight.FlightDescriptor.for_command(any_of("CommandStatementQuery", sql.encode()))


def login(node: Node, user: str) -> flight.FlightCallOptions:
    client = flight.connect(node.uri)
    header = client.authenticate_basic_token(user, f"secret of {user}")
    client.close()
    return flight.FlightCallOptions(headers=[header])


@pytest.fixture
def client(node: Node):  # type: ignore[no-untyped-def]
    with flight.connect(node.uri) as opened:
        yield opened


def value(client: flight.FlightClient, sql: str) -> object:
    info = client.get_flight_info(query(sql))
    return client.do_get(info.endpoints[0].ticket).read_all().column(0)[0].as_py()


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x0a", b"\xff" * 100, b"\x0a\x05abc", any_of("Unheard", b"x")])
def test_damaged_or_unknown_bytes_are_an_error_and_harm_nothing(client: flight.FlightClient, data: bytes) -> None:
    for call in (
        lambda: client.get_flight_info(flight.FlightDescriptor.for_command(data)),
        lambda: client.get_schema(flight.FlightDescriptor.for_command(data)),
        lambda: client.do_get(flight.Ticket(data)).read_all(),
        lambda: list(client.do_action(flight.Action("CreatePreparedStatement", data))),
        lambda: list(client.do_action(flight.Action("EndTransaction", data))),
        lambda: list(client.do_action(flight.Action("no such action", data))),
        lambda: client.do_put(flight.FlightDescriptor.for_command(data), pyarrow.schema([]))[0].close(),
    ):
        with pytest.raises((pyarrow.ArrowException, flight.FlightError)):
            call()
    assert value(client, "select count(*) from customers") == 2


def test_a_result_is_fetched_once(client: flight.FlightClient) -> None:
    info = client.get_flight_info(query("select 1 as one"))
    assert info.total_records == 1
    assert client.do_get(info.endpoints[0].ticket).read_all().num_rows == 1
    with pytest.raises(pyarrow.ArrowInvalid, match="no such result"):
        client.do_get(info.endpoints[0].ticket).read_all()


def test_a_ticket_is_bound_to_its_user_and_cannot_be_guessed(guarded: Node) -> None:
    ada, rhea = login(guarded, "ada"), login(guarded, "rhea")
    with flight.connect(guarded.uri) as client:
        ticket = client.get_flight_info(query("select name from customers"), ada).endpoints[0].ticket
        with pytest.raises(pyarrow.ArrowInvalid, match="no such result"):
            client.do_get(ticket, rhea).read_all()
        forged = flight.Ticket(ticket.ticket[:-1] + bytes([ticket.ticket[-1] ^ 1]))
        with pytest.raises(pyarrow.ArrowInvalid, match="no such result"):
            client.do_get(forged, ada).read_all()
        with pytest.raises(flight.FlightUnauthenticatedError):
            client.do_get(ticket).read_all()
        assert client.do_get(ticket, ada).read_all().num_rows == 2


def test_no_call_passes_without_a_login(guarded: Node) -> None:
    descriptor = query("select 1")
    with flight.connect(guarded.uri) as client:
        for headers in (
            [],
            [(b"authorization", b"Bearer x")],
            [(b"user-agent", b"cenote"), (b"x-cenote-pool", b"shop")],
            [(b"Authorization".lower(), b"basic " + b"A" * 1000)],
        ):
            options = flight.FlightCallOptions(headers=headers)
            for call in (
                lambda: client.get_flight_info(descriptor, options),  # noqa: B023
                lambda: client.get_schema(descriptor, options),  # noqa: B023
                lambda: client.do_get(flight.Ticket(descriptor.command), options).read_all(),  # noqa: B023
                lambda: list(client.do_action(flight.Action("CloseSession", b""), options)),  # noqa: B023
                lambda: client.list_actions(options),  # noqa: B023
                lambda: client.do_put(descriptor, pyarrow.schema([]), options)[0].close(),  # noqa: B023
            ):
                # Some calls of pyarrow's lose the error's class on the way.
                with pytest.raises((flight.FlightUnauthenticatedError, OSError), match="login|token|Basic"):
                    call()


def test_a_token_is_good_at_another_node_of_the_cluster(guarded: Node, folder: pathlib.Path) -> None:
    ada = login(guarded, "ada")
    other = folder / "other"
    other.mkdir()
    for secret, good in (("of the cluster", True), ("of another", False)):
        with (
            running(other, config_of(folder, users=USERS, secret=secret)) as second,
            flight.connect(second.uri) as client,
        ):
            if good:
                assert client.get_schema(query("select 1 as one"), ada).schema.names == ["one"]
            else:
                with pytest.raises(flight.FlightUnauthenticatedError):
                    client.get_flight_info(query("select 1"), ada)


def resident(node: Node) -> int:
    """Resident memory of the node in bytes."""
    for line in pathlib.Path(f"/proc/{node.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def test_a_batch_above_the_bound_is_refused_and_does_not_stay(client: flight.FlightClient, node: Node) -> None:
    before = resident(node)
    table = pyarrow.table({"id": [1], "name": ["x" * (64 << 20)]})
    ingest = any_of("CommandStatementIngest", b"\x08\x01", b"big")  # create it
    for _ in range(5):
        with pytest.raises((pyarrow.ArrowException, flight.FlightError), match="max_message"):
            writer, _ = client.do_put(flight.FlightDescriptor.for_command(ingest), table.schema)
            try:
                writer.write_table(table)
            finally:
                writer.close()
    assert resident(node) - before < 256 << 20
    assert value(client, "select count(*) from customers") == 2


def test_results_transactions_and_prepared_statements_are_bounded(folder: pathlib.Path) -> None:
    bounds = {"max_results": 3, "max_transactions": 4, "max_prepared": 5}
    with running(folder, config_of(folder, flight=bounds)) as node, flight.connect(node.uri) as client:
        infos = [client.get_flight_info(query("select 1")) for _ in range(3)]
        with pytest.raises(flight.FlightError, match="3 unfetched results"):
            client.get_flight_info(query("select 1"))
        for info in infos:
            client.do_get(info.endpoints[0].ticket).read_all()
        begin = flight.Action("BeginTransaction", any_of("ActionBeginTransactionRequest"))
        for _ in range(4):
            assert len(list(client.do_action(begin))) == 1
        with pytest.raises(flight.FlightError, match="4 transactions"):
            list(client.do_action(begin))
        prepare = flight.Action("CreatePreparedStatement", any_of("ActionCreatePreparedStatementRequest", b"select 1"))
        for _ in range(5):
            assert len(list(client.do_action(prepare))) == 1
        with pytest.raises(flight.FlightError, match="5 prepared statements"):
            list(client.do_action(prepare))
        # Closing the session gives all of it back.
        list(client.do_action(flight.Action("CloseSession", b"")))
        assert len(list(client.do_action(begin))) == 1
        assert len(list(client.do_action(prepare))) == 1


def test_an_unfetched_result_gives_its_connection_back(folder: pathlib.Path) -> None:
    with (
        running(folder, config_of(folder, flight={"result_idle": "200ms"})) as node,
        flight.connect(node.uri) as client,
    ):
        # Larger than what the node reads ahead: each holds one of the four readers.
        long = "with recursive s(i) as (select 1 union all select i + 1 from s where i < 5000000) select i, i, i from s"
        tickets = [client.get_flight_info(query(long)).endpoints[0].ticket for _ in range(8)]
        with pytest.raises(pyarrow.ArrowInvalid, match="no such result"):
            client.do_get(tickets[0]).read_all()


def test_cancelling_a_flight_info_frees_its_connection(client: flight.FlightClient) -> None:
    long = "with recursive s(i) as (select 1 union all select i + 1 from s where i < 5000000) select i, i, i from s"
    for _ in range(8):
        info = client.get_flight_info(query(long))
        (answer,) = client.do_action(flight.Action("CancelFlightInfo", field(1, info.serialize())))
        assert answer.body.to_pybytes() == b"\x08\x01"


def test_a_node_that_others_can_reach_starts_only_with_tls_and_users(folder: pathlib.Path) -> None:
    certificates(folder)
    tls = {"certificate": str(folder / "node.pem"), "key": str(folder / "node.key")}
    for server, missing in (
        ({"flight": {"listen": "0.0.0.0:0"}}, "server.flight.tls and server.users"),
        ({"flight": {"listen": "0.0.0.0:0"}, "users": USERS}, "server.flight.tls"),
        ({"flight": {"listen": "0.0.0.0:0", "tls": tls}}, "server.users"),
    ):
        path = folder / "unsafe.yaml"
        path.write_text(json.dumps(config_of(folder, **server)))
        done = subprocess.run([*COMMAND, str(path)], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 3
        assert missing in done.stderr
    with running(folder, config_of(folder, flight={"listen": "0.0.0.0:0", "tls": tls}, users=USERS)):
        pass


def certificates(folder: pathlib.Path) -> None:
    """An authority; certificates of a node (127.0.0.1) and of a client that it signed."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca")
    (folder / "san.cnf").write_text("subjectAltName = IP:127.0.0.1, DNS:localhost")
    for name in ("node", "client"):
        openssl(
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
            "-subj",
            f"/CN={name}",
        )
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.pem", "-extfile", "san.cnf",
        )  # fmt: skip


def test_tls_and_client_certificates(folder: pathlib.Path) -> None:
    certificates(folder)
    tls = {
        "certificate": str(folder / "node.pem"),
        "key": str(folder / "node.key"),
        "client_ca": str(folder / "ca.pem"),
    }
    read = {name: (folder / name).read_text() for name in ("ca.pem", "client.pem", "client.key")}
    with running(folder, config_of(folder, flight={"tls": tls}, users=USERS)) as node:
        assert node.uri.startswith("grpc+tls://")
        options = {
            DatabaseOptions.TLS_ROOT_CERTS.value: read["ca.pem"],
            "username": "ada",
            "password": "secret of ada",
        }
        shown = {
            DatabaseOptions.MTLS_CERT_CHAIN.value: read["client.pem"],
            DatabaseOptions.MTLS_PRIVATE_KEY.value: read["client.key"],
        }
        with (
            flightsql.connect(node.uri, db_kwargs=options | shown, autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("select count(*) from customers")
            assert cursor.fetchone() == (2,)
        with pytest.raises(flightsql.Error):
            flightsql.connect(node.uri, db_kwargs=options, autocommit=True).close()
        with pytest.raises(flightsql.Error):
            plain = node.uri.replace("grpc+tls", "grpc")
            flightsql.connect(plain, db_kwargs={"username": "ada", "password": "secret of ada"}).close()


def test_secrets_stay_out_of_errors_and_the_log(guarded: Node) -> None:
    with flight.connect(guarded.uri) as client:
        for sql in ("select * from nowhere", "insert into customers values (1, 'x')", "select ?"):
            with pytest.raises((pyarrow.ArrowException, flight.FlightError)) as caught:
                client.get_flight_info(query(sql), login(guarded, "ada"))
            assert "secret of" not in str(caught.value)
    assert "secret of" not in (guarded.folder / "node.log").read_text()


def test_sigterm_drains(node: Node) -> None:
    with flight.connect(node.uri) as client:
        ticket = client.get_flight_info(query("select name from customers")).endpoints[0].ticket
        node.process.terminate()
        # What was made is still fetched; then the node ends by itself.
        assert client.do_get(ticket).read_all().num_rows == 2
    assert node.process.wait(60) == 0
