// From PostgreSQL's errors to what cenote concludes from them.
#pragma once

#include <string>
#include <string_view>

#include <libpq-fe.h>

#include "cenote/error.h"

namespace cenote::postgresql {

// The error of a failed result. `statement` says whether one was running that the server knew.
Status result_error(const PGresult* result);
// The connection is gone: libpq's own words tell why.
Status lost_error(const PGconn* conn, Sent sent);
// Why a connection could not be made. The messages must be verbose, since libpq keeps the SQLSTATE
// of a failed connect nowhere else.
Status connect_error(const PGconn* conn);

// The kind that a SQLSTATE stands for.
ErrorKind error_kind_of(std::string_view sqlstate);

// The five characters of a failed result, or empty.
std::string_view sqlstate_of(const PGresult* result);
// A prepared statement whose result changed under it, or which the server forgot: it was not
// executed, and preparing it again helps.
bool is_stale_statement(const PGresult* result);

}  // namespace cenote::postgresql
