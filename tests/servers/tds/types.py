"""SQL Server's types on the wire: declarations, values of rows, values of bound parameters ([MS-TDS] 2.2.5)."""

from __future__ import annotations

import datetime
import decimal
import re
import struct
import uuid
from dataclasses import dataclass

COLLATION = bytes.fromhex("0904d00034")
MAX = 0xFFFF
EPOCH = datetime.date(1, 1, 1).toordinal()
EPOCH_1900 = datetime.date(1900, 1, 1).toordinal()

# T-SQL name -> type byte on the wire.
CODES = {
    "tinyint": 0x26, "smallint": 0x26, "int": 0x26, "bigint": 0x26, "bit": 0x68, "real": 0x6D, "float": 0x6D,
    "decimal": 0x6A, "numeric": 0x6C, "money": 0x6E, "smallmoney": 0x6E, "date": 0x28, "time": 0x29,
    "datetime2": 0x2A, "datetimeoffset": 0x2B, "datetime": 0x6F, "smalldatetime": 0x6F, "char": 0xAF,
    "varchar": 0xA7, "nchar": 0xEF, "nvarchar": 0xE7, "binary": 0xAD, "varbinary": 0xA5, "text": 0x23,
    "ntext": 0x63, "image": 0x22, "uniqueidentifier": 0x24, "xml": 0xF1, "sql_variant": 0x62, "sysname": 0xE7,
}  # fmt: skip
WIDTHS = {
    "tinyint": 1, "smallint": 2, "int": 4, "bigint": 8, "real": 4, "float": 8, "money": 8, "smallmoney": 4,
    "datetime": 8, "smalldatetime": 4,
}  # fmt: skip
# The fixed forms that parameters may take: type byte -> (name, bytes).
FIXED = {
    0x30: ("tinyint", 1), 0x32: ("bit", 1), 0x34: ("smallint", 2), 0x38: ("int", 4), 0x3A: ("smalldatetime", 4),
    0x3B: ("real", 4), 0x3C: ("money", 8), 0x3D: ("datetime", 8), 0x3E: ("float", 8), 0x7A: ("smallmoney", 4),
    0x7F: ("bigint", 8),
}  # fmt: skip


@dataclass(frozen=True)
class Type:
    """A declared type: `decimal(38,10)` is Type("decimal", 38, 10); size None means (max)."""

    name: str
    size: int | None = 0
    scale: int = 0

    @property
    def code(self) -> int:
        return CODES[self.name]

    @property
    def wide(self) -> bool:
        return self.name in ("nchar", "nvarchar", "ntext", "xml", "sysname")

    def info(self, in_row: bool = True) -> bytes:
        """TYPE_INFO, as a column or an output value declares it."""
        code = bytes([self.code])
        if self.name in WIDTHS:
            return code + bytes([WIDTHS[self.name]])
        if self.name == "bit":
            return code + b"\x01"
        if self.name in ("decimal", "numeric"):
            return code + bytes([17, self.size or 18, self.scale])
        if self.name == "date":
            return code
        if self.name in ("time", "datetime2", "datetimeoffset"):
            return code + bytes([self.scale])
        if self.name == "uniqueidentifier":
            return code + b"\x10"
        if self.name == "xml":
            return code + b"\x00"
        if self.name == "sql_variant":
            return code + struct.pack("<I", 8009)
        collation = COLLATION if self.name not in ("binary", "varbinary", "image") else b""
        if self.name in ("text", "ntext", "image"):
            name = "t".encode("utf-16-le")
            table = b"\x01" + struct.pack("<H", 1) + name if in_row else b""
            return code + struct.pack("<I", 0x7FFFFFFF) + collation + table
        size = MAX if self.size is None else (self.size or 1) * (2 if self.wide else 1)
        return code + struct.pack("<H", size) + collation

    def encode(self, value: object) -> bytes:
        """One value of a row."""
        if self.name in ("text", "ntext", "image"):
            if value is None:
                return b"\x00"
            data = self.payload(value)
            return b"\x10" + bytes(16) + bytes(8) + struct.pack("<I", len(data)) + data
        if self.name == "xml" or (self.name in ("varchar", "nvarchar", "varbinary") and self.size is None):
            if value is None:
                return b"\xff" * 8
            data = self.payload(value)
            chunks = [data[i : i + 32_000] for i in range(0, len(data), 32_000)]
            body = b"".join(struct.pack("<I", len(chunk)) + chunk for chunk in chunks)
            return struct.pack("<Q", len(data)) + body + bytes(4)
        if self.code in (0xA7, 0xAF, 0xE7, 0xEF, 0xA5, 0xAD):
            if value is None:
                return b"\xff\xff"
            data = self.payload(value)
            if self.name in ("char", "nchar"):
                blank = " ".encode("utf-16-le") if self.wide else b" "
                data += blank * ((self.size or 1) - len(data) // len(blank))
            if self.name == "binary":
                data = data.ljust(self.size or 1, b"\x00")
            return struct.pack("<H", len(data)) + data
        if self.name == "sql_variant":
            if value is None:
                return bytes(4)
            if isinstance(value, int):
                return struct.pack("<IBB", 6, 0x38, 0) + struct.pack("<i", value)
            data = str(value).encode("utf-16-le")
            return struct.pack("<IBB", len(data) + 9, 0xE7, 7) + COLLATION + struct.pack("<H", 8000) + data
        if value is None:
            return b"\x00"
        data = self.payload(value)
        return bytes([len(data)]) + data

    def payload(self, value: object) -> bytes:
        """The bytes of a value that is not NULL, without their length."""
        name = self.name
        if name in ("tinyint", "smallint", "int", "bigint"):
            return int(value).to_bytes(WIDTHS[name], "little", signed=name != "tinyint")
        if name == "bit":
            return b"\x01" if value else b"\x00"
        if name in ("real", "float"):
            return struct.pack("<f" if name == "real" else "<d", float(value))
        if name in ("decimal", "numeric"):
            with decimal.localcontext() as context:
                context.prec = 80
                number = decimal.Decimal(str(value))
                digits = abs(int(number.scaleb(self.scale).to_integral_value()))
            return (b"\x00" if number < 0 else b"\x01") + digits.to_bytes(16, "little")
        if name in ("money", "smallmoney"):
            number = int(decimal.Decimal(str(value)).scaleb(4).to_integral_value())
            if name == "smallmoney":
                return struct.pack("<i", number)
            return struct.pack("<iI", number >> 32, number & 0xFFFFFFFF)
        if name == "uniqueidentifier":
            return (value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))).bytes_le
        if name in ("date", "time", "datetime2", "datetimeoffset", "datetime", "smalldatetime"):
            return self._temporal(str(value))
        if name in ("binary", "varbinary", "image"):
            return bytes(value) if isinstance(value, bytes | bytearray) else str(value).encode()
        text = value.decode() if isinstance(value, bytes) else str(value)
        return text.encode("utf-16-le", "surrogatepass") if self.wide else text.encode("cp1252", "replace")

    def _temporal(self, text: str) -> bytes:
        days, ticks, offset = parse_temporal(text)
        if self.name == "date":
            return days.to_bytes(3, "little")
        if self.name == "datetime":
            return struct.pack("<iI", days - (EPOCH_1900 - EPOCH), round(ticks * 300 / 10**7))
        if self.name == "smalldatetime":
            return struct.pack("<HH", days - (EPOCH_1900 - EPOCH), ticks // (60 * 10**7))
        if self.name == "datetimeoffset":
            ticks -= offset * 60 * 10**7
            days += ticks // (86_400 * 10**7)
            ticks %= 86_400 * 10**7
        width = 3 if self.scale <= 2 else 4 if self.scale <= 4 else 5
        clock = (ticks // 10 ** (7 - self.scale)).to_bytes(width, "little")
        if self.name == "time":
            return clock
        data = clock + days.to_bytes(3, "little")
        return data + struct.pack("<h", offset) if self.name == "datetimeoffset" else data


def parse_temporal(text: str) -> tuple[int, int, int]:
    """Days since 0001-01-01, 100 ns since midnight, minutes east of UTC of an ISO text."""
    found = re.fullmatch(
        r"(?:(\d{4})-(\d\d)-(\d\d))?[T ]?(?:(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?\s*([+-]\d\d:\d\d|Z)?", text
    )
    if not found:
        raise ValueError(f"not a date or time: {text}")
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    days = datetime.date(int(year), int(month), int(day)).toordinal() - EPOCH if year else 0
    ticks = (int(hour or 0) * 3600 + int(minute or 0) * 60 + int(second or 0)) * 10**7
    ticks += int((fraction or "0").ljust(7, "0")[:7])
    offset = 0
    if zone and zone != "Z":
        offset = (int(zone[1:3]) * 60 + int(zone[4:6])) * (-1 if zone[0] == "-" else 1)
    return days, ticks, offset


def format_temporal(days: int | None, ticks: int | None, scale: int, offset: int | None = None) -> str:
    """The ISO text of what parse_temporal reads."""
    text = ""
    if days is not None:
        text = datetime.date.fromordinal(days + EPOCH).isoformat()
    if ticks is not None:
        seconds, fraction = divmod(ticks, 10**7)
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        if scale:
            clock += "." + f"{fraction:07}"[:scale]
        text += (" " if text else "") + clock
    if offset is not None:
        text += f" {'-' if offset < 0 else '+'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    return text


def parse_type(declaration: str) -> Type:
    """Type of `nvarchar(max)`, `decimal(38,10)`, or of what the engine keeps in SQLite for it."""
    text = declaration.lower().replace("_blob", "").replace("_text", "").replace("_max", "(max)")
    found = re.fullmatch(r"(\w+)\s*(?:\(\s*(max|\d+)\s*(?:,\s*(\d+)\s*)?\))?(\s+output|\s+out)?", text.strip())
    if not found or found[1] not in CODES:
        raise ValueError(f"no such type: {declaration}")
    name, size, scale = found[1], found[2], found[3]
    if name == "sysname":
        return Type("nvarchar", 128)
    if name in ("time", "datetime2", "datetimeoffset"):
        return Type(name, 0, int(size) if size else 7)
    if name in ("decimal", "numeric"):
        return Type(name, int(size or 18), int(scale or 0))
    return Type(name, None if size == "max" else int(size or (1 if "char" in name or "binary" in name else 0)))


def read_parameter(data: bytes, at: int) -> tuple[Type, object, int]:
    """The type and value of a bound parameter, and where the next begins."""
    code = data[at]
    at += 1
    if code in FIXED:
        name, width = FIXED[code]
        return Type(name), _fixed(name, data[at : at + width]), at + width
    names = {v: k for k, v in CODES.items() if k not in ("sysname",)}
    if code in (0x26, 0x6D, 0x6E, 0x6F):
        by_width = {
            (0x26, 1): "tinyint", (0x26, 2): "smallint", (0x26, 4): "int", (0x26, 8): "bigint", (0x6D, 4): "real",
            (0x6D, 8): "float", (0x6E, 4): "smallmoney", (0x6E, 8): "money", (0x6F, 4): "smalldatetime",
            (0x6F, 8): "datetime",
        }  # fmt: skip
        name, width = by_width[(code, data[at])], data[at + 1]
        return Type(name), _fixed(name, data[at + 2 : at + 2 + width]) if width else None, at + 2 + width
    if code in (0x24, 0x68):
        width = data[at + 1]
        raw = data[at + 2 : at + 2 + width]
        value = None if not width else bool(raw[0]) if code == 0x68 else str(uuid.UUID(bytes_le=raw))
        return Type(names[code]), value, at + 2 + width
    if code in (0x6A, 0x6C):
        kind = Type(names[code], data[at + 1], data[at + 2])
        width = data[at + 3]
        raw = data[at + 4 : at + 4 + width]
        return kind, _decimal(raw, kind.scale) if width else None, at + 4 + width
    if code in (0x28, 0x29, 0x2A, 0x2B):
        scale = 0 if code == 0x28 else data[at]
        at += code != 0x28
        width = data[at]
        raw = data[at + 1 : at + 1 + width]
        kind = Type(names[code], 0, scale)
        return kind, _clock(kind.name, raw, scale) if width else None, at + 1 + width
    if code in (0xA7, 0xAF, 0xE7, 0xEF, 0xA5, 0xAD):
        return _read_string(names[code], data, at)
    if code in (0x23, 0x63, 0x22):
        at += 4 + (5 if code != 0x22 else 0)
        (length,) = struct.unpack_from("<I", data, at)
        kind = Type(names[code])
        if length == 0xFFFFFFFF:
            return kind, None, at + 4
        return kind, _text(kind, data[at + 4 : at + 4 + length]), at + 4 + length
    raise ValueError(f"a parameter of type 0x{code:02x} cannot be read")


def _read_string(name: str, data: bytes, at: int) -> tuple[Type, object, int]:
    (declared,) = struct.unpack_from("<H", data, at)
    at += 2 + (5 if "char" in name else 0)
    kind = Type(name, None if declared == MAX else declared // (2 if name[0] == "n" else 1))
    if declared != MAX:
        (length,) = struct.unpack_from("<H", data, at)
        if length == MAX:
            return kind, None, at + 2
        return kind, _text(kind, data[at + 2 : at + 2 + length]), at + 2 + length
    (total,) = struct.unpack_from("<Q", data, at)
    at += 8
    if total == 0xFFFFFFFFFFFFFFFF:
        return kind, None, at
    chunks = []
    while True:
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        if length == 0:
            return kind, _text(kind, b"".join(chunks)), at
        chunks.append(data[at : at + length])
        at += length


def _text(kind: Type, raw: bytes) -> object:
    if kind.name in ("binary", "varbinary", "image"):
        return raw
    return raw.decode("utf-16-le", "surrogatepass") if kind.wide else raw.decode("cp1252")


def _fixed(name: str, raw: bytes) -> object:
    if name in ("real", "float"):
        return struct.unpack("<f" if name == "real" else "<d", raw)[0]
    if name == "bit":
        return bool(raw[0])
    if name == "money":
        high, low = struct.unpack("<iI", raw)
        return str(decimal.Decimal((high << 32) | low).scaleb(-4))
    if name == "smallmoney":
        return str(decimal.Decimal(struct.unpack("<i", raw)[0]).scaleb(-4))
    if name == "datetime":
        days, ticks = struct.unpack("<iI", raw)
        return format_temporal(days + EPOCH_1900 - EPOCH, round(ticks * 10 / 3) * 10**4, 3)
    if name == "smalldatetime":
        days, minutes = struct.unpack("<HH", raw)
        return format_temporal(days + EPOCH_1900 - EPOCH, minutes * 60 * 10**7, 0)
    return int.from_bytes(raw, "little", signed=name != "tinyint")


def _decimal(raw: bytes, scale: int) -> str:
    digits = str(int.from_bytes(raw[1:], "little")).rjust(scale + 1, "0")
    text = digits[: len(digits) - scale] + ("." + digits[len(digits) - scale :] if scale else "")
    return ("" if raw[0] else "-") + text


def _clock(name: str, raw: bytes, scale: int) -> str:
    if name == "date":
        return format_temporal(int.from_bytes(raw, "little"), None, 0)
    width = 3 if scale <= 2 else 4 if scale <= 4 else 5
    ticks = int.from_bytes(raw[:width], "little") * 10 ** (7 - scale)
    if name == "time":
        return format_temporal(None, ticks, scale)
    days = int.from_bytes(raw[width : width + 3], "little")
    if name == "datetime2":
        return format_temporal(days, ticks, scale)
    (offset,) = struct.unpack("<h", raw[width + 3 :])
    ticks += offset * 60 * 10**7
    days += ticks // (86_400 * 10**7)
    return format_temporal(days, ticks % (86_400 * 10**7), scale, offset)
