// Tables of any declared types and any values, read whole and as streams: each cell of the frame is
// what SQLite itself tells of it, or the stream says that it cannot be told.
#include <cstring>
#include <memory>
#include <string>

#include <arrow/api.h>
#include <fuzzer/FuzzedDataProvider.h>

#include "driver/sqlite/connection.h"
#include "driver/sqlite/options.h"
#include "fuzz/check.h"

namespace cenote::sqlite {
namespace {

constexpr const char* kDeclarations[] = {
    "",          "integer",     "bigint",     "boolean", "real", "double", "decimal(9,2)",
    "numeric",   "text",        "varchar(9)", "blob",    "date", "time",   "datetime",
    "timestamp", "timestamptz", "json",       "any"};

struct Database {
  std::unique_ptr<SqliteConnection> connection;
  sqlite3* raw = nullptr;

  Database() {
    auto options = parse_options({{"database", ":memory:"}});
    check(options.ok(), "the options");
    auto session = std::make_unique<Session>(std::make_shared<const Options>(*options),
                                             ":memory:", "memory", Access::kReadWrite);
    check(session->open({}).ok(), "the database opens");
    raw = session->handle();
    connection = std::make_unique<SqliteConnection>(std::move(session));
  }
  void run(const std::string& sql) const {
    check(sqlite3_exec(raw, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK, sql);
  }
};

// Of a text that SQLite reads as a moment: the seconds since 1970, by SQLite.
int64_t seconds_of(sqlite3* raw, std::string_view text, bool time_only) {
  sqlite3_stmt* statement = nullptr;
  sqlite3_prepare_v2(raw, "select unixepoch(?)", -1, &statement, nullptr);
  // Without the fraction: SQLite rounds to milliseconds, and the year 9999 has none to round up to.
  const std::string whole =
      (time_only ? "1970-01-01 " : "") + std::string(text.substr(0, text.find('.')));
  sqlite3_bind_text(statement, 1, whole.data(), static_cast<int>(whole.size()), SQLITE_STATIC);
  check(sqlite3_step(statement) == SQLITE_ROW, "unixepoch()");
  check(sqlite3_column_type(statement, 0) == SQLITE_INTEGER,
        "SQLite reads the moment too: " + std::string(text));
  const int64_t seconds = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  return seconds;
}

bool same_text(std::string_view got, sqlite3_stmt* row, int column) {
  const int type = sqlite3_column_type(row, column);
  if (type == SQLITE_INTEGER) return got == std::to_string(sqlite3_column_int64(row, column));
  if (type == SQLITE_FLOAT) {
    return std::strtod(std::string(got).c_str(), nullptr) == sqlite3_column_double(row, column);
  }
  const void* bytes = sqlite3_column_blob(row, column);
  const auto size = static_cast<size_t>(sqlite3_column_bytes(row, column));
  return got.size() == size && (size == 0 || std::memcmp(got.data(), bytes, size) == 0);
}

bool same(const arrow::Scalar& cell, sqlite3_stmt* row, int column, sqlite3* raw) {
  const int type = sqlite3_column_type(row, column);
  if (!cell.is_valid) return type == SQLITE_NULL;
  const auto text = [&] {
    check(type == SQLITE_TEXT, "a moment was text");
    return std::string_view(reinterpret_cast<const char*>(sqlite3_column_text(row, column)),
                            static_cast<size_t>(sqlite3_column_bytes(row, column)));
  };
  switch (cell.type->id()) {
    case arrow::Type::BOOL:
      return type == SQLITE_INTEGER && sqlite3_column_int64(row, column) ==
                                           static_cast<const arrow::BooleanScalar&>(cell).value;
    case arrow::Type::INT64:
      return type == SQLITE_INTEGER && sqlite3_column_int64(row, column) ==
                                           static_cast<const arrow::Int64Scalar&>(cell).value;
    case arrow::Type::DOUBLE: {
      const double got = static_cast<const arrow::DoubleScalar&>(cell).value;
      if (type == SQLITE_FLOAT) return got == sqlite3_column_double(row, column);
      return type == SQLITE_INTEGER &&
             static_cast<__int128>(got) == sqlite3_column_int64(row, column);
    }
    case arrow::Type::DATE32:
      return static_cast<const arrow::Date32Scalar&>(cell).value * int64_t{86'400} ==
             seconds_of(raw, text(), false);
    case arrow::Type::TIME64: {
      const int64_t micros = static_cast<const arrow::Time64Scalar&>(cell).value;
      return micros / 1'000'000 == seconds_of(raw, text(), true);
    }
    case arrow::Type::TIMESTAMP: {
      const int64_t micros = static_cast<const arrow::TimestampScalar&>(cell).value;
      const int64_t fraction = ((micros % 1'000'000) + 1'000'000) % 1'000'000;
      return (micros - fraction) / 1'000'000 == seconds_of(raw, text(), false);
    }
    case arrow::Type::STRING:
      return type != SQLITE_BLOB &&
             same_text(static_cast<const arrow::BaseBinaryScalar&>(cell).view(), row, column);
    case arrow::Type::BINARY:
      return same_text(static_cast<const arrow::BaseBinaryScalar&>(cell).view(), row, column);
    default:
      return false;
  }
}

void compare(const Database& database, const arrow::Table& table) {
  check(table.ValidateFull().ok(), "the frame is valid");
  sqlite3_stmt* row = nullptr;
  sqlite3_prepare_v2(database.raw, "select * from t", -1, &row, nullptr);
  int64_t at = 0;
  for (; sqlite3_step(row) == SQLITE_ROW; ++at) {
    check(at < table.num_rows(), "no row is lost");
    for (int i = 0; i < table.num_columns(); ++i) {
      check(same(*table.column(i)->GetScalar(at).ValueOrDie(), row, i, database.raw),
            table.field(i)->ToString());
    }
  }
  check(at == table.num_rows(), "no row is added");
  sqlite3_finalize(row);
}

void bind(sqlite3_stmt* insert, int at, FuzzedDataProvider& input) {
  constexpr const char* kMoments[] = {"2024-02-29", "0000-01-01", "9999-12-31 23:59:59.999999",
                                      "12:30",      "23:59:59.5", "1969-12-31T23:59:59.25",
                                      "2023-02-29", "24:00",      "2024-01-01 00:00:00Z",
                                      "2024-1-1"};
  switch (input.ConsumeIntegralInRange(0, 7)) {
    case 0:
      sqlite3_bind_null(insert, at);
      return;
    case 1:
      sqlite3_bind_int64(insert, at, input.ConsumeIntegralInRange<int64_t>(-1, 2));
      return;
    case 2:
      sqlite3_bind_int64(insert, at, input.ConsumeIntegral<int64_t>());
      return;
    case 3: {
      double value = 0;
      const auto bits = input.ConsumeIntegral<uint64_t>();
      std::memcpy(&value, &bits, sizeof value);
      sqlite3_bind_double(insert, at, value);
      return;
    }
    case 4: {
      const std::string text = input.ConsumeRandomLengthString(40);
      sqlite3_bind_text64(insert, at, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
      return;
    }
    case 5: {
      const std::string bytes = input.ConsumeRandomLengthString(40);
      sqlite3_bind_blob64(insert, at, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
      return;
    }
    case 6:
      sqlite3_bind_text(insert, at, input.PickValueInArray(kMoments), -1, SQLITE_STATIC);
      return;
    default:
      sqlite3_bind_int64(insert, at, (int64_t{1} << 53) + input.ConsumeIntegralInRange(-2, 2));
  }
}

}  // namespace
}  // namespace cenote::sqlite

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cenote::sqlite;
  static const Database database;
  FuzzedDataProvider input(data, size);
  const int columns = input.ConsumeIntegralInRange(1, 4);
  std::string create = "create table t (";
  std::string insert_sql = "insert into t values (";
  for (int i = 0; i < columns; ++i) {
    create += std::string(i == 0 ? "" : ", ") + static_cast<char>('a' + i) + " " +
              input.PickValueInArray(kDeclarations);
    insert_sql += i == 0 ? "?" : ", ?";
  }
  database.run(create + ")");
  sqlite3_stmt* insert = nullptr;
  sqlite3_prepare_v2(database.raw, (insert_sql + ")").c_str(), -1, &insert, nullptr);
  for (int row = 0; row < 40 && input.remaining_bytes() > 0; ++row) {
    for (int i = 0; i < columns; ++i) bind(insert, i + 1, input);
    sqlite3_step(insert);
    sqlite3_reset(insert);
  }
  sqlite3_finalize(insert);

  for (const int64_t rows : {int64_t{65'536}, int64_t{3}}) {
    for (const bool whole : {true, false}) {
      auto reader =
          database.connection->query({}, "select * from t", {}, {.rows = rows, .whole = whole});
      cenote::check(reader.ok(), "the query is answered");
      const auto table = (*reader)->ToTable();
      if (table.ok()) {
        compare(database, **table);
      } else {
        cenote::check(!whole && rows == 3, table.status().ToString());
        cenote::check(cenote::error_kind(table.status()) == cenote::ErrorKind::kData,
                      table.status().ToString());
      }
    }
  }
  database.run("drop table t");
  return 0;
}
