"""The small T-SQL of the tests on SQLite, and the commands that cause faults."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable

import apsw
from pysqlbridge.tds.token import EnvChangeType

from .describe import PARAMETER_COLUMNS, RESULT_COLUMNS, parameter_row, result_row
from .samples import SAMPLES
from .types import CODES, Type, parse_type
from .wire import Answer, Attention, Drop, Parameter, Session, SqlError

# What keeps SQLite from making numbers of texts: a name with TEXT or BLOB in it has that affinity.
TEXT_TYPES = "decimal|numeric|money|smallmoney|date|time|datetime2|datetimeoffset|datetime|smalldatetime|" \
    "uniqueidentifier|xml|sql_variant"  # fmt: skip
COMMANDS = {"insert": 0xC3, "delete": 0xC4, "update": 0xC5}
ERRORS = [
    (r"no such table: (?:main\.)?(\S+)", 208, "Invalid object name '{}'."),
    (r"no such column: (\S+)", 207, "Invalid column name '{}'."),
    (r'near "(.*?)": syntax error', 102, "Incorrect syntax near '{}'."),
    (r"incomplete input()", 102, "Incorrect syntax near the end{}."),
    (r"table (\S+) already exists", 2714, "There is already an object named '{}' in the database."),
    (r"UNIQUE constraint failed: (\S+)", 2627, "Violation of PRIMARY KEY constraint on '{}'."),
    (r"NOT NULL constraint failed: (\S+)", 515, "Cannot insert the value NULL into column '{}'."),
    (r"(?:CHECK|FOREIGN KEY) constraint failed(.*)", 547, "The statement conflicted with a constraint{}."),
    (r"no such savepoint: (\S+)", 6401, "Cannot roll back {}. No savepoint of that name was found."),
    (r"database(?: table)? is locked()", 1222, "Lock request time out period exceeded{}."),
]


def split(sql: str) -> list[str]:
    """The statements of a batch, split at semicolons outside of strings and comments, without the comments."""
    parts, now = [], ""
    for token in re.findall(r"'(?:''|[^'])*'|\"[^\"]*\"|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|;|[^'\"\[;/-]+|.", sql, re.S):
        if token == ";":
            parts.append(now)
            now = ""
        elif not token.startswith(("--", "/*")):
            now += token
    return [part.strip() for part in [*parts, now] if part.strip()]


def outside_strings(pattern: str, replacement: str | Callable[[re.Match[str]], str], sql: str) -> str:
    pieces = re.split(r"N?('(?:''|[^'])*')", sql)  # N'…' is a string like any other
    flags = re.I | re.S
    pieces[::2] = [re.sub(pattern, replacement, piece, flags=flags) for piece in pieces[::2]]
    return "".join(pieces)


class Engine:
    """One session's view of the database."""

    def __init__(self, session: Session, path: str, server: object) -> None:
        self.session, self.path, self.server = session, path, server
        self.prepared: dict[int, str] = {}
        self.handles = itertools.count(1)
        self.answer: Answer | None = None
        self.seen_attention = False
        self.open()

    def open(self) -> None:
        self.count = 0  # @@TRANCOUNT
        self.doomed = None
        self.options: set[str] = set()
        # No cache: a statement kept over a change of its table would tell the types of before.
        self.database = apsw.Connection(self.path, statementcachesize=0)
        self.database.set_busy_timeout(20_000)
        for setting in ("journal_mode = wal", "synchronous = off", "foreign_keys = on"):
            self.database.execute(f"pragma {setting}").fetchall()
        self.database.set_progress_handler(self._progress, 100_000)

    def close(self) -> None:
        self.database.close(True)

    def reset(self) -> None:
        self.close()
        self.open()

    def cancelled(self) -> None:
        self.seen_attention = False

    def _progress(self) -> bool:
        try:
            if self.answer:
                self.answer.poll()
        except (Attention, Drop):
            self.seen_attention = True
        return self.seen_attention

    def call(self, name: str, parameters: list[Parameter], answer: Answer) -> None:
        """A remote procedure call: the ways in which drivers send bound parameters."""
        outputs = []
        if name.lower() == "sp_executesql":
            self.run(str(parameters[0].value), parameters[2:], answer)
        elif name in ("sp_prepexec", "sp_prepare"):
            handle = next(self.handles)
            self.prepared[handle] = str(parameters[2].value)
            outputs = [(parameters[0].name, Type("int"), handle)]
            if name == "sp_prepexec":
                self.run(self.prepared[handle], parameters[3:], answer)
            else:
                self.guarded(answer, lambda: self._announce(self.prepared[handle], answer))
        elif name == "sp_execute":
            self.run(self.prepared[int(str(parameters[0].value))], parameters[1:], answer)
        elif name == "sp_describe_first_result_set":
            self.guarded(answer, lambda: self._describe(str(parameters[0].value), answer))
        elif name == "sp_describe_undeclared_parameters":
            self.guarded(answer, lambda: self._describe_parameters(str(parameters[0].value), answer))
        elif name == "sp_unprepare":
            self.prepared.pop(int(str(parameters[0].value)), None)
        else:
            answer.error(2812, f"Could not find stored procedure '{name}'.")
        answer.values(0, outputs)

    def run(self, sql: str, parameters: list[Parameter], answer: Answer) -> None:
        """Runs a batch; an error ends it."""

        def work() -> None:
            for statement in split(sql):
                self._statement(statement, parameters, answer)

        self.guarded(answer, work)

    def guarded(self, answer: Answer, work: Callable[[], None]) -> None:
        self.answer = answer
        try:
            work()
        except SqlError as failed:
            answer.error(failed.number, str(failed))
            if failed.number == 1205 and self.count:
                self._end(EnvChangeType.ROLLBACK_TRAN, "rollback", answer)
        except (apsw.BindingsError, KeyError) as failed:
            answer.error(137, f"Must declare the scalar variable: {failed}.")
        except apsw.InterruptError:
            raise Attention from None
        except apsw.Error as failed:
            if self.seen_attention:
                raise Attention from None
            self._sqlite_error(str(failed), answer)
        finally:
            self.answer = None

    def _sqlite_error(self, text: str, answer: Answer) -> None:
        for pattern, number, message in ERRORS:
            if found := re.search(pattern, text):
                answer.error(number, message.format(found[1]))
                return
        answer.error(50000, text)

    def _statement(self, sql: str, parameters: list[Parameter], answer: Answer) -> None:
        guarded = re.fullmatch(r"if\s+@@trancount\s*>\s*0\s+(.*)", sql, re.I | re.S)
        if guarded:
            if self.count:
                self._statement(guarded[1], parameters, answer)
            else:
                answer.done(0)
            return
        creates = re.fullmatch(r"if\s+object_id\(.*?\)\s+is\s+null\s+create\s+table\s+(.*)", sql, re.I | re.S)
        if creates:
            sql = "create table if not exists " + creates[1]
        words = sql.lower().split()
        match words[:2]:
            case ["set", *_]:
                self.options.add(" ".join(words[1:]))
                answer.done(0)
            case ["use", *_]:
                answer.done(0)
            case ["begin", "tran" | "transaction"]:
                self._begin(answer)
            case ["save", "tran" | "transaction"]:
                self.database.execute(f"savepoint {sql.split(maxsplit=2)[2]}")
                answer.done(0)
            case ["commit", *_]:
                self._end(EnvChangeType.COMMIT_TRAN, "commit", answer)
            case ["rollback", *_] if len(words) > 2:
                self.database.execute(f"rollback to {sql.split(maxsplit=2)[2]}")
                answer.done(0)
            case ["rollback", *_]:
                self._end(EnvChangeType.ROLLBACK_TRAN, "rollback", answer)
            case ["exec" | "execute", name]:
                self._command(name, [word.strip(",") for word in sql.split()[2:]], parameters, answer)
            case ["kill", number]:
                self.server.kill(int(number))
                answer.done(0)
            case _:
                self._sqlite(sql, words[0], parameters, answer)

    def _begin(self, answer: Answer) -> None:
        if self.count == 0:
            self.database.execute("begin")
            self.descriptor = self.session.next_descriptor()
            answer.transaction(EnvChangeType.BEGIN_TRAN, self.descriptor)
        self.count += 1
        answer.done(0)

    def _end(self, kind: EnvChangeType, sql: str, answer: Answer) -> None:
        if self.count == 0:
            raise SqlError(
                3902 if sql == "commit" else 3903, f"The {sql} request has no corresponding BEGIN TRANSACTION."
            )
        self.count = self.count - 1 if sql == "commit" else 0
        if self.count == 0:
            self.database.execute(sql)
            answer.transaction(kind, self.descriptor)
        answer.done(0)

    def _sqlite(self, sql: str, word: str, parameters: list[Parameter], answer: Answer) -> None:
        text = self._translate(sql, word)
        if not parameters and "?" in re.sub(r"'(?:''|[^'])*'", "", sql):
            raise SqlError(102, "Incorrect syntax near '?'.")
        values = {}
        for number, parameter in enumerate(parameters, 1):
            name = (parameter.name or f"@P{number}").lstrip("@")
            values[name] = int(parameter.value) if isinstance(parameter.value, bool) else parameter.value
        declared: list[tuple[str, str | None]] = []

        def describe(cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
            declared.extend(cursor.get_description() if cursor.is_readonly or " returning " in text.lower() else ())
            return True

        cursor = self.database.cursor()
        cursor.exec_trace = describe
        rows = cursor.execute(text, values).fetchall()
        if declared:
            answer.result(self._columns(declared, rows), rows)
        elif word in COMMANDS:
            answer.done(0, COMMANDS[word], self.database.changes())
        else:
            answer.done(0)

    def _described(self, sql: str) -> list[tuple[str, Type]]:
        """The columns of a batch's first statement, which is not run."""
        declared: list[tuple[str, str | None]] = []

        def describe(cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
            declared.extend(cursor.get_description() if cursor.is_readonly else ())
            return False

        statement = split(sql)[0]
        cursor = self.database.cursor()
        cursor.exec_trace = describe
        with contextlib.suppress(apsw.ExecTraceAbort):
            cursor.execute(
                self._translate(statement, statement.split()[0].lower()),
                dict.fromkeys(re.findall(r"@(\w+)", statement)),
            )
        return self._columns(declared, [])

    def _announce(self, sql: str, answer: Answer) -> None:
        if columns := self._described(sql):
            answer.describe(columns)

    def _describe(self, sql: str, answer: Answer) -> None:
        columns = self._described(sql)
        answer.result(RESULT_COLUMNS, [result_row(i, *column) for i, column in enumerate(columns, 1)])

    def _describe_parameters(self, sql: str, answer: Answer) -> None:
        """A parameter that is compared with a column has its type; SQL Server knows many more cases."""
        names = list(dict.fromkeys(re.findall(r"@\w+", sql)))
        table = re.search(r"\bfrom\s+(\S+)", sql, re.I)
        rows = []
        for i, name in enumerate(names, 1):
            column = re.search(rf"(\w+)\s*[=<>]+\s*{name}\b", sql)
            kind = Type("nvarchar", 4000)
            if column and table:
                kind = self._described(f"select {column[1]} from {table[1]}")[0][1]
            rows.append(parameter_row(i, name, kind))
        answer.result(PARAMETER_COLUMNS, rows)

    def _translate(self, sql: str, word: str) -> str:
        series = r"(with recursive s(value) as (select \1 union all select value + 1 from s where value < \2) " \
            "select value from s)"  # fmt: skip
        text = outside_strings(r"generate_series\((\d+),\s*(\d+)\)", series, sql)
        text = outside_strings(r"\bcount_big\(", "count(", text)
        text = outside_strings(r"#(\w+)", r'temp."#\1"', text)
        text = outside_strings(r"@@trancount", str(self.count), text)
        text = outside_strings(r"@@spid", str(self.session.spid), text)
        text = outside_strings(r"@@max_connections", "32767", text)
        text = outside_strings(r"sys\.fn_hadr_is_primary_replica\(\w+\(\)\)", self.server.is_primary, text)
        text = outside_strings(r"databasepropertyex\(db_name\(\),\s*$", "(", text)
        text = outside_strings(r"serverproperty\($", "(", text)
        text = outside_strings(r"db_name\(\)", "'master'", text)
        text = text.replace("('Updateability')", f"('{self.server.updateability}')")
        text = text.replace("('ProductVersion')", "('16.0.1000.6')")
        if word == "create":
            text = outside_strings(r"\bnvarchar\s*\(\s*max\s*\)", "nvarchar_max", text)
            text = outside_strings(r"\bvarchar\s*\(\s*max\s*\)", "varchar_max", text)
            text = outside_strings(r"\bvarbinary\s*\(\s*max\s*\)", "varbinary_max_blob", text)
            text = outside_strings(r"\b(varbinary|binary|image)\b(?!_)", r"\1_blob", text)
            text = outside_strings(rf"(?<=[\w\]\"] )\b({TEXT_TYPES})\b(?=\s*[(,)\s])", r"\1_text", text)
        return text

    def _columns(self, declared: list[tuple[str, str | None]], rows: list[tuple]) -> list[tuple[str, Type]]:
        """Of what SQLite declares, else of the values: SQL Server types every expression, SQLite none."""
        columns = []
        for index, (name, declaration) in enumerate(declared):
            try:
                kind = parse_type(declaration or "")
            except ValueError:
                kind = self._guess([row[index] for row in rows if row[index] is not None])
            # An expression without an alias has no name in SQL Server; SQLite calls it by its text.
            columns.append((name if len(name) <= 128 else "", kind))
        return columns

    @staticmethod
    def _guess(values: list[object]) -> Type:
        if any(isinstance(value, str) for value in values):
            return Type("nvarchar", 4000 if all(len(str(value)) <= 4000 for value in values) else None)
        if any(isinstance(value, bytes) for value in values):
            return Type("varbinary", 8000 if all(len(value) <= 8000 for value in values) else None)
        if any(isinstance(value, float) for value in values):
            return Type("float")
        return Type("int") if all(abs(int(str(value))) < 2**31 for value in values) else Type("bigint")

    def _command(self, name: str, words: list[str], parameters: list[Parameter], answer: Answer) -> None:
        """The tests' own procedures."""
        ignores = "ignore" in words
        numbers = [int(word) for word in words if word.lstrip("-").isdigit()]
        if name == "cenote_types":
            kinds = [(label, parse_type(declaration)) for label, declaration, _ in SAMPLES]
            rows = zip(*(values for _, _, values in SAMPLES), strict=True)
            answer.result(kinds, rows)
        elif name == "cenote_echo":
            columns = [(f"p{i}", parameter.kind) for i, parameter in enumerate(parameters, 1)]
            answer.result(columns, [[parameter.value for parameter in parameters]])
        elif name == "cenote_declared":
            names = [[f"{p.kind.name}({p.kind.size},{p.kind.scale})"] for p in parameters]
            answer.result([("declared", Type("nvarchar", 100))], names)
        elif name == "cenote_delay":
            self._wait(numbers[0] / 1000, ignores, answer)
            answer.result([("slept", Type("int"))], [[numbers[0]]])
        elif name == "cenote_error":
            if len(numbers) > 1:
                answer.describe([("n", Type("int"))])
                answer.rows([i] for i in range(numbers[1]))
            raise SqlError(numbers[0], f"Error {numbers[0]} on demand.")
        elif name == "cenote_drop":
            answer.describe([("n", Type("int"))])
            answer.rows([i] for i in range(numbers[0] if numbers else 0))
            raise Drop
        elif name == "cenote_rows":
            answer.describe([("n", Type("bigint")), ("text", Type("nvarchar", 40))])
            if ignores:
                answer.poll = lambda wait=0: None
            endless = itertools.count() if not numbers else range(numbers[0])
            answer.done(0, 0xC1, answer.rows([i, f"row {i}"] for i in endless))
        elif name == "cenote_text":
            kind = Type("nvarchar", None)
            pairs = (
                (i, "".join(chr(0x1F600 + (i + k) % 64) for k in range(numbers[0] // 2))) for i in range(numbers[1])
            )
            answer.result([("n", Type("int")), ("text", kind), ("after", Type("int"))], ([i, t, -i] for i, t in pairs))
        elif name == "cenote_mixed":
            answer.result([("a", Type("int"))], [[1]])
            answer.done(0, 0xC5, 3)
            answer.result([("b", Type("nvarchar", 10))], [["x"]])
        elif name == "cenote_sessions":
            answer.result([("sessions", Type("int"))], [[len(self.server.sessions)]])
        elif name == "cenote_options":
            answer.result([("option", Type("nvarchar", 200))], [[option] for option in sorted(self.options)])
        elif name == "cenote_become":
            self.server.become(words[0])
            answer.done(0)
        else:
            raise SqlError(2812, f"Could not find stored procedure '{name}'.")

    @staticmethod
    def _wait(seconds: float, ignores: bool, answer: Answer) -> None:
        if not ignores:
            answer.poll(seconds)
            return
        late = False
        try:
            answer.poll(seconds)
        except Attention:
            late = True
        if late:
            answer.poll(seconds)
            raise Attention


assert set(TEXT_TYPES.split("|")) <= set(CODES)
