// A large SQLite result: the pool's frame beside a bare loop of sqlite3_step and sqlite3_column.
// bench-sqlite FILE [ROUNDS]; the file has the table `readings` that groups/sqlite.py makes.
#include <string>
#include <string_view>

#include <arrow/table.h>
#include <sqlite3.h>

#include "bench.h"

namespace cenote::bench {
namespace {

constexpr std::string_view kSelect = "select id, device, value, name, place, error from readings";

// Every cell by its own type, as any reader must that tells null from 0; nothing is kept.
int64_t bare_loop(const std::string& file) {
  sqlite3* handle = nullptr;
  sqlite3_stmt* statement = nullptr;
  const int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(file.c_str(), &handle, flags, nullptr) != SQLITE_OK ||
      sqlite3_prepare_v2(handle, kSelect.data(), static_cast<int>(kSelect.size()), &statement,
                         nullptr) != SQLITE_OK) {
    fail(sqlite3_errmsg(handle));
  }
  int64_t rows = 0;
  for (; sqlite3_step(statement) == SQLITE_ROW; ++rows) {
    for (int i = 0; i < 6; ++i) {
      switch (sqlite3_column_type(statement, i)) {
        case SQLITE_INTEGER:
          keep(sqlite3_column_int64(statement, i));
          break;
        case SQLITE_FLOAT:
          keep(sqlite3_column_double(statement, i));
          break;
        case SQLITE_TEXT:
          keep(sqlite3_column_text(statement, i));
          keep(sqlite3_column_bytes(statement, i));
          break;
        default:
          break;
      }
    }
  }
  sqlite3_finalize(statement);
  sqlite3_close(handle);
  return rows;
}

void run(const std::string& file, int rounds) {
  const auto pool = open_pool("sqlite:" + file, 1);
  // Not counted: a new process pays for the first touch of its memory.
  check(pool->execute_query(kSelect).status());
  for (int round = 0; round < rounds; ++round) {
    int64_t bare = 0;
    int64_t ours = 0;
    const double loop = timed([&] { bare = bare_loop(file); });
    Line("sqlite", "bare loop").add("seconds", loop);
    const double frame = timed([&] { ours = value(pool->execute_query(kSelect))->num_rows(); });
    Line("sqlite", "cenote").add("seconds", frame);
    if (bare != ours) fail("the readers disagree about the number of rows");
  }
}

}  // namespace
}  // namespace cenote::bench

int main(int count, char** arguments) {
  if (count < 2) cenote::bench::fail("usage: bench-sqlite FILE [ROUNDS]");
  cenote::bench::run(arguments[1], cenote::bench::number(count, arguments, 2, 3));
}
