// One SQL text as a session knows it: its placeholders resolved, what kind it is, what the server
// said of its rows; and the cache of those, which is also the cache of prepared statements.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cenote/params.h"

#include "driver/placeholders.h"
#include "driver/postgresql/parameters.h"
#include "driver/postgresql/rows.h"

namespace cenote::postgresql {

inline constexpr SqlDialect kDialect{
    .numbered = true, .dollar_quotes = true, .escape_strings = true, .nested_comments = true};

// "name" with its quotes doubled inside; schema.table with both quoted.
std::string quote_identifier(std::string_view name);
std::string quoted_table(std::string_view table);

enum class Verb : uint8_t {
  kRead,   // SELECT, VALUES, TABLE, WITH: rows, and no change but by functions
  kWrite,  // INSERT, UPDATE, DELETE, MERGE, also within WITH: done before its rows are sent
  kShow,   // EXPLAIN, SHOW, FETCH, EXECUTE, CALL: rows, but nothing to prepare or to wrap
  kOther,  // no rows
};

struct StatementKind {
  Verb verb = Verb::kOther;
  // May change the session beyond the transaction: SET, temporary tables, advisory locks, ….
  bool marks_dirty = false;
  bool forgets_prepared = false;  // DISCARD, DEALLOCATE
  bool single = true;             // one statement, but for a final semicolon
  size_t end = 0;                 // of its last token but for that semicolon
};
StatementKind classify(std::string_view sql);

// A result of up to so many rows is small: what was made for it is kept for the statement's next
// execution, which is taken to be like it.
inline constexpr int64_t kSmallResult = 1000;

// A result column as the server describes it.
struct ColumnHead {
  std::string name;
  uint32_t oid = 0;
  int typmod = -1;

  friend bool operator==(const ColumnHead&, const ColumnHead&) = default;
};

// What the server was told and has told of a statement.
struct Statement {
  std::string key;
  BoundStatement bound;
  StatementKind kind;

  // Once described:
  bool described = false;
  Declare declare = Declare::kNatural;
  std::vector<uint32_t> oids;             // declared for the parameters
  std::vector<uint32_t> parameters;       // their types as the server understood them
  std::vector<ColumnHead> columns;        // as executed; none where it returns no rows
  std::shared_ptr<const RowShape> shape;  // of a stream
  std::shared_ptr<const RowShape> whole_shape;
  std::string sql;       // what is executed: `bound.sql`, or a wrap around it that casts columns
  std::string prepared;  // its name on the server, or empty

  int64_t last_rows = -1;  // of its last execution; -1 for not known
  // The columns of the last small result, empty again: making them costs more than filling them.
  std::unique_ptr<RowDecoder> decoder;

  void forget_description() {
    described = false;
    decoder.reset();
    prepared.clear();
    shape.reset();
    whole_shape.reset();
  }
  const std::shared_ptr<const RowShape>& shape_for(const BatchLimits& limits) const {
    return limits.whole ? whole_shape : shape;
  }
};
using StatementPtr = std::shared_ptr<Statement>;

// The statement as a part of another one: with its comments, which may be a trace's tags, without
// the semicolons it may end in, and with a line break, which ends a comment.
std::string as_part(const Statement& statement);
// Wraps `sql` so that the columns of `shape` that need it are cast; empty where that cannot be.
std::string wrap_with_casts(const Statement& statement, const RowShape& shape);

// The most recently used statements of a session. Those that fall out, or were prepared anew, leave
// their names behind, to be deallocated at times.
class StatementCache {
 public:
  static constexpr size_t kLimit = 100;

  // The statement for this text and these parameters' types: known, or new and not yet kept.
  Result<StatementPtr> find(std::string_view sql, const Params& params);
  // Keeps `statement`; the least recently used one goes where there is no room.
  void keep(const StatementPtr& statement);
  // Forgets one statement, after the server refused it.
  void drop(const StatementPtr& statement);
  // The server has forgotten all prepared statements.
  void clear();

  std::string new_name() { return "cenote_" + std::to_string(++names_); }
  // A prepared statement of this name is of no more use.
  void forget_name(std::string name) { garbage_.push_back(std::move(name)); }
  std::vector<std::string> take_garbage() { return std::exchange(garbage_, {}); }
  size_t garbage() const { return garbage_.size(); }

 private:
  void discard(Statement& statement);

  std::list<StatementPtr> recent_;  // most recent first
  std::unordered_map<std::string_view, std::list<StatementPtr>::iterator> by_key_;
  std::vector<std::string> garbage_;
  std::string key_;
  uint64_t names_ = 0;
};

}  // namespace cenote::postgresql
