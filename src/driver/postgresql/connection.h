// One session with PostgreSQL over libpq, never blocking beyond its deadline.
#pragma once

#include <atomic>
#include <memory>
#include <set>
#include <string>

#include <libpq-fe.h>

#include "cenote/driver.h"

#include "base/mutex.h"

namespace cenote::postgresql {

struct PgCloser {
  void operator()(PGconn* conn) const { PQfinish(conn); }
};
struct ResultCloser {
  void operator()(PGresult* result) const { PQclear(result); }
};
using PgHandle = std::unique_ptr<PGconn, PgCloser>;
using PgResult = std::unique_ptr<PGresult, ResultCloser>;

// Connects within the context's deadline; the keywords end with a null.
Result<std::unique_ptr<Connection>> open_session(const CallContext& context,
                                                 const char* const* keywords,
                                                 const char* const* values);

}  // namespace cenote::postgresql
