// What cenote's own client says to a node: one call, one message, one round trip. Everything but an
// ingest is a DoGet whose ticket is the message wrapped in an Any; an ingest is a DoPut with it as
// the descriptor's command. The protocol has a version, and a reader passes over fields it does not
// know: nodes and clients of one major version can be upgraded one by one. Never reuse a tag.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cenote/driver.h"
#include "cenote/params.h"

#include "flight/messages.h"

namespace cenote::flight {

inline constexpr uint32_t kCallVersion = 1;

enum class Operation : int32_t {
  kUnknown = 0,
  kQuery = 1,    // rows
  kExecute = 2,  // affected rows, in the answer
  kBegin = 3,    // the transaction's handle, in the answer
  kCommit = 4,
  kRollback = 5,
  kSavepoint = 6,
  kReleaseSavepoint = 7,
  kRollbackToSavepoint = 8,
  kIngest = 9,
  kPing = 10,    // only the answer, with the load of `pool`
  kCancel = 11,  // stop the call of request id `name`, if it runs
  kSight = 12,   // whether the node reaches the cluster's store or coordinator, in the answer
};

// A parameter of one of the types that need no Arrow IPC around them, which costs a small query
// more than the rest of its call.
struct PlainValue {
  static constexpr std::string_view kName = "cenote.PlainValue";

  std::string name;    // of a named parameter
  int32_t type = 0;    // 0 null, 1 bool, 2 int64, 3 double, 4 text, 5 binary
  int64_t number = 0;  // of bool and int64; a double's bits
  Bytes bytes;         // of text and binary

  CENOTE_FIELDS(visit(1, self.name); visit(2, self.type); visit(3, self.number);
                visit(4, self.bytes);)
};

// A call. Times are what is left of them, because clocks differ.
struct Call {
  static constexpr std::string_view kName = "cenote.Call";

  std::optional<uint32_t> version = kCallVersion;  // always written; absent: 1, the first
  Operation operation = Operation::kUnknown;
  std::string pool;
  std::string sql;
  Bytes params;                    // an Arrow IPC stream of one row, where a value is not plain
  std::optional<int32_t> access;   // Access; unset: the node decides
  std::optional<int64_t> left_ms;  // until the caller's deadline; unset: none
  int64_t batch_rows = 0;          // 0: the default
  int64_t batch_bytes = 0;
  bool whole = false;  // BatchLimits::whole
  std::string tag;
  std::string request_id;         // for logs on both sides
  Bytes transaction;              // inside this one; empty: by itself
  std::string name;               // of a savepoint, or the table of an ingest
  int32_t ingest_mode = 0;        // IngestMode
  int32_t isolation = 0;          // Isolation, of a begin
  bool read_only = false;         // of a begin
  std::vector<PlainValue> plain;  // the parameters, where all are plain
  bool eager = false;             // BatchLimits::eager

  CENOTE_FIELDS(visit(1, self.version); visit(2, self.operation); visit(3, self.pool);
                visit(4, self.sql); visit(5, self.params); visit(6, self.access);
                visit(7, self.left_ms); visit(8, self.batch_rows); visit(9, self.batch_bytes);
                visit(10, self.whole); visit(11, self.tag); visit(12, self.request_id);
                visit(13, self.transaction); visit(14, self.name); visit(15, self.ingest_mode);
                visit(16, self.isolation); visit(17, self.read_only); visit(18, self.plain);
                visit(19, self.eager);)
};

// How busy the pool is, sent along with every answer so that a client's view of the load is fresh
// without asking anyone.
struct Load {
  static constexpr std::string_view kName = "cenote.Load";

  int32_t max = 0;
  int32_t active = 0;
  int32_t idle = 0;
  int32_t waiting = 0;

  bool operator==(const Load&) const = default;
  CENOTE_FIELDS(visit(1, self.max); visit(2, self.active); visit(3, self.idle);
                visit(4, self.waiting);)
};

// The application metadata of the first batch of every answer (there is always one, if need be
// without rows), or of the one PutResult.
struct Answer {
  static constexpr std::string_view kName = "cenote.Answer";

  std::optional<uint32_t> version = kCallVersion;  // always written; absent: 1, the first
  std::string node_id;
  uint64_t config_version = 0;
  std::optional<Load> load;
  std::optional<int64_t> affected;  // of an execute or an ingest; -1: the database does not say
  Bytes transaction;                // of a begin
  bool draining = false;            // go elsewhere with the next call
  std::optional<bool> reaches_source{};  // of a sight; unset: the node is in no cluster

  CENOTE_FIELDS(visit(1, self.version); visit(2, self.node_id); visit(3, self.config_version);
                visit(4, self.load); visit(5, self.affected); visit(6, self.transaction);
                visit(7, self.draining); visit(8, self.reaches_source);)
};

// The parameters into the call, and out of it.
Status set_params(const Params& params, Call* call);
Result<Params> params_of(const Call& call);

// Parameters as an Arrow IPC stream of one row; a column's name is the parameter's, or empty.
Result<Bytes> encode_params(const Params& params);
Result<Params> decode_params(std::string_view bytes);

// One row of a batch as parameters; the names only where the client gave names of its own, not
// those a library makes up ("0", "1", "$1", "parameter_1").
Result<Params> params_of(const arrow::RecordBatch& batch, int64_t row);

}  // namespace cenote::flight
