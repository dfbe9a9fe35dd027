"""What SQL Server tells of a statement without running it: the answers of its two procedures for that.

Columns: learn.microsoft.com, sp_describe_first_result_set and sp_describe_undeclared_parameters.
"""

from __future__ import annotations

from .types import CODES, WIDTHS, Type

SYSTEM_IDS = {
    "tinyint": 48, "smallint": 52, "int": 56, "bigint": 127, "bit": 104, "real": 59, "float": 62, "decimal": 106,
    "numeric": 108, "money": 60, "smallmoney": 122, "date": 40, "time": 41, "datetime2": 42, "datetimeoffset": 43,
    "datetime": 61, "smalldatetime": 58, "char": 175, "varchar": 167, "nchar": 239, "nvarchar": 231, "binary": 173,
    "varbinary": 165, "text": 35, "ntext": 99, "image": 34, "uniqueidentifier": 36, "xml": 241, "sql_variant": 98,
}  # fmt: skip
BIT, INT, SMALL, TINY, NAME = Type("bit"), Type("int"), Type("smallint"), Type("tinyint"), Type("nvarchar", 128)

RESULT_COLUMNS = [
    ("is_hidden", BIT), ("column_ordinal", INT), ("name", NAME), ("is_nullable", BIT), ("system_type_id", INT),
    ("system_type_name", Type("nvarchar", 256)), ("max_length", SMALL), ("precision", TINY), ("scale", TINY),
    ("collation_name", NAME), ("user_type_id", INT), ("user_type_database", NAME), ("user_type_schema", NAME),
    ("user_type_name", NAME), ("assembly_qualified_type_name", Type("nvarchar", 4000)), ("xml_collection_id", INT),
    ("xml_collection_database", NAME), ("xml_collection_schema", NAME), ("xml_collection_name", NAME),
    ("is_xml_document", BIT), ("is_case_sensitive", BIT), ("is_fixed_length_clr_type", BIT), ("source_server", NAME),
    ("source_database", NAME), ("source_schema", NAME), ("source_table", NAME), ("source_column", NAME),
    ("is_identity_column", BIT), ("is_part_of_unique_key", BIT), ("is_updateable", BIT), ("is_computed_column", BIT),
    ("is_sparse_column_set", BIT), ("ordinal_in_order_by_list", SMALL), ("order_by_list_length", SMALL),
    ("order_by_is_descending", SMALL), ("tds_type_id", INT), ("tds_length", INT), ("tds_collation_id", INT),
    ("tds_collation_sort_id", TINY),
]  # fmt: skip
PARAMETER_COLUMNS = [
    ("parameter_ordinal", INT), ("name", NAME), ("suggested_system_type_id", INT),
    ("suggested_system_type_name", Type("nvarchar", 256)), ("suggested_max_length", SMALL),
    ("suggested_precision", TINY), ("suggested_scale", TINY), ("suggested_user_type_id", INT),
    ("suggested_user_type_database", NAME), ("suggested_user_type_schema", NAME), ("suggested_user_type_name", NAME),
    ("suggested_assembly_qualified_type_name", Type("nvarchar", 4000)), ("suggested_xml_collection_id", INT),
    ("suggested_xml_collection_database", NAME), ("suggested_xml_collection_schema", NAME),
    ("suggested_xml_collection_name", NAME), ("suggested_is_xml_document", BIT),
    ("suggested_is_case_sensitive", BIT), ("suggested_is_fixed_length_clr_type", BIT), ("suggested_is_input", BIT),
    ("suggested_is_output", BIT), ("formal_parameter_name", NAME), ("suggested_tds_type_id", INT),
    ("suggested_tds_length", INT),
]  # fmt: skip


def _facts(kind: Type) -> dict[str, object]:
    """Of a type, under the names without `suggested_`."""
    text = "char" in kind.name or "binary" in kind.name
    length = WIDTHS.get(kind.name, 17 if kind.name in ("decimal", "numeric") else 8)
    if text:
        length = -1 if kind.size is None else kind.size * (2 if kind.wide else 1)
    decimal = kind.name in ("decimal", "numeric")
    shown = kind.name
    if decimal:
        shown += f"({kind.size},{kind.scale})"
    elif text:
        shown += f"({'max' if kind.size is None else kind.size})"
    return {
        "system_type_id": SYSTEM_IDS[kind.name],
        "system_type_name": shown,
        "max_length": length,
        "precision": kind.size if decimal else {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}.get(kind.name, 0),
        "scale": kind.scale,
        "tds_type_id": CODES[kind.name],
        "tds_length": 65535 if length < 0 else length,
    }


def result_row(ordinal: int, name: str, kind: Type) -> list[object]:
    known = _facts(kind) | {"is_hidden": False, "column_ordinal": ordinal, "name": name, "is_nullable": True}
    known |= {"is_updateable": False, "is_identity_column": False, "is_computed_column": False}
    known |= {"is_xml_document": False, "is_case_sensitive": False, "is_fixed_length_clr_type": False}
    known |= {"is_sparse_column_set": False}
    if kind.wide or kind.name in ("char", "varchar"):
        known |= {"collation_name": "SQL_Latin1_General_CP1_CI_AS", "tds_collation_id": 0x00D00409}
        known |= {"tds_collation_sort_id": 52}
    return [known.get(column) for column, _ in RESULT_COLUMNS]


def parameter_row(ordinal: int, name: str, kind: Type) -> list[object]:
    known = {f"suggested_{key}": value for key, value in _facts(kind).items()}
    known |= {"parameter_ordinal": ordinal, "name": name, "suggested_is_input": True, "suggested_is_output": False}
    known |= {"suggested_is_xml_document": False, "suggested_is_case_sensitive": False}
    known |= {"suggested_is_fixed_length_clr_type": False}
    return [known.get(column) for column, _ in PARAMETER_COLUMNS]
