// A login whose caller may give up on it.
#pragma once

#include <optional>

#include "cenote/deadline.h"

#include "driver/odbc/library.h"
#include "driver/odbc/unicode.h"

namespace cenote::odbc {

// Runs SQLDriverConnect on `connection`. Nothing in ODBC ends a login before its time-out
// (SQLCancel wants a statement, and there is no telling the driver's socket yet), so where `stop`
// may come, the login runs on a thread of its own. nullopt: it was stopped; the handle is no longer
// the caller's, and the thread frees it when the driver returns, after SQL_ATTR_LOGIN_TIMEOUT at
// the latest. So many logins may be left behind; beyond that a stop waits.
inline constexpr int kMostLeftLogins = 16;
std::optional<SQLRETURN> log_in(const Library& odbc, SQLHDBC connection, WideString text,
                                const std::stop_token& stop);

}  // namespace cenote::odbc
