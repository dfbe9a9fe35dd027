"""golden.txt holds what Google's protobuf makes of the messages; the C++ tests read and write those very bytes.

`python tests/flight/test_golden.py` writes the file anew. It is a recorded transcript too: a version that cannot
read it cannot talk to nodes and clients of this one.
"""

from __future__ import annotations

import importlib.util
import pathlib
import sys
import tempfile
import types

from grpc_tools import protoc

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE / "golden.txt"


def compiled(name: str) -> types.ModuleType:
    """The Python module of a .proto file beside this one."""
    with tempfile.TemporaryDirectory() as scratch:
        code = protoc.main(["protoc", f"-I{HERE}", f"--python_out={scratch}", str(HERE / f"{name}.proto")])
        assert code == 0, f"protoc failed on {name}.proto"
        path = pathlib.Path(scratch) / f"{name}_pb2.py"
        spec = importlib.util.spec_from_file_location(f"{name}_pb2", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def messages() -> list[tuple[str, str, bytes]]:
    """(name of the case, name of the message, its bytes)."""
    sql, own = compiled("flight_sql"), compiled("cenote")
    ingest = sql.CommandStatementIngest(
        table="orders", schema="shop", temporary=True, transaction_id=b"t", options={"key": "value"}
    )
    ingest.table_definition_options.if_not_exist = 1
    ingest.table_definition_options.if_exists = 2
    load = own.Load(max=10, active=3, idle=2, waiting=1)
    cases = {
        "sql_info": sql.CommandGetSqlInfo(info=[8, 508, 575]),
        "sql_info_all": sql.CommandGetSqlInfo(),
        "xdbc": sql.CommandGetXdbcTypeInfo(data_type=-7),
        "schemas": sql.CommandGetDbSchemas(catalog="", db_schema_filter_pattern="pub%"),
        "tables": sql.CommandGetTables(
            catalog="main", table_name_filter_pattern="o%", table_types=["TABLE", "VIEW"], include_schema=True
        ),
        "primary_keys": sql.CommandGetPrimaryKeys(db_schema="public", table="orders"),
        "cross_reference": sql.CommandGetCrossReference(pk_table="a", fk_catalog="c", fk_table="b"),
        "query": sql.CommandStatementQuery(query="select 'ü'", transaction_id=b"\x00\xff"),
        "update": sql.CommandStatementUpdate(query="delete from t"),
        "ticket": sql.TicketStatementQuery(statement_handle=bytes(range(256))),
        "ingest": ingest,
        "update_result": sql.DoPutUpdateResult(record_count=-1),
        "prepare": sql.ActionCreatePreparedStatementRequest(query="select ?"),
        "prepared": sql.ActionCreatePreparedStatementResult(
            prepared_statement_handle=b"h", dataset_schema=b"d", parameter_schema=b"p", is_update=False
        ),
        "end": sql.ActionEndTransactionRequest(transaction_id=b"t", action=2),
        "savepoint": sql.ActionBeginSavepointRequest(transaction_id=b"t", name="s"),
        "own_query": own.Call(
            version=1, operation=1, pool="main_db", sql="select 1", params=b"p", access=0, left_ms=5000,
            batch_rows=1000, batch_bytes=1 << 40, whole=True, tag="report", request_id="r-1",
        ),
        "own_plain": own.Call(
            version=1, operation=2, sql="delete from t where a = ?",
            plain=[own.PlainValue(), own.PlainValue(name="n", type=2, number=-1), own.PlainValue(type=5, bytes=b"\0")],
        ),
        "own_ingest": own.Call(version=1, operation=9, pool="main_db", name="orders", ingest_mode=3, transaction=b"t"),
        "own_begin": own.Call(version=1, operation=3, pool="main_db", isolation=3, read_only=True),
        "own_answer": own.Answer(
            version=1, node_id="n1", config_version=1 << 63, load=load, affected=-1, transaction=b"t", draining=True
        ),
        "own_later_answer": own.LaterAnswer(
            version=1, node_id="n1", load=load, hints=["a", "b"], pressure=0.5, checksum=7
        ),
    }  # fmt: skip
    return [
        (name, case.DESCRIPTOR.full_name, case.SerializeToString(deterministic=True)) for name, case in cases.items()
    ]


def text() -> str:
    head = "# case, message, bytes. Made by test_golden.py; see there.\n"
    return head + "".join(f"{name} {message} {data.hex() or '-'}\n" for name, message, data in messages())


def test_the_recorded_bytes_are_what_protobuf_writes() -> None:
    assert GOLDEN.read_text() == text()


if __name__ == "__main__":
    GOLDEN.write_text(text())
    sys.exit(0)
