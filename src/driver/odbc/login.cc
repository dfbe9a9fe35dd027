// The thread owns itself and what it works on: a process that ends does not wait for it.
#include "driver/odbc/login.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include "base/mutex.h"

namespace cenote::odbc {
namespace {

std::atomic<int> g_left = 0;

struct Login {
  const Library& odbc;
  SQLHDBC connection;
  WideString text;
  Mutex mutex;  // never held during a call of ODBC
  std::condition_variable_any changed;
  bool left CENOTE_GUARDED_BY(mutex) = false;  // by its caller
  std::optional<SQLRETURN> result CENOTE_GUARDED_BY(mutex);

  SQLRETURN connect() {
    return odbc.driver_connect(connection, nullptr, sql_text(text),
                               static_cast<SQLSMALLINT>(text.size()), nullptr, 0, nullptr,
                               SQL_DRIVER_NOPROMPT);
  }
  void run() {
    const SQLRETURN got = connect();
    {
      const Lock lock(mutex);
      result = got;
      if (!left) return changed.notify_all();
    }
    if (SQL_SUCCEEDED(got)) odbc.disconnect(connection);
    odbc.free_handle(SQL_HANDLE_DBC, connection);
    --g_left;
  }
};

}  // namespace

std::optional<SQLRETURN> log_in(const Library& odbc, SQLHDBC connection, WideString text,
                                const std::stop_token& stop) {
  const auto login = std::make_shared<Login>(odbc, connection, std::move(text));
  if (!stop.stop_possible()) return login->connect();
  try {
    std::thread([login] { login->run(); }).detach();
  } catch (const std::system_error&) {  // no thread to be had
    return login->connect();
  }
  Lock lock(login->mutex);
  const auto ended = [&]()
                         CENOTE_ANNOTATE(no_thread_safety_analysis) { return bool(login->result); };
  if (!login->changed.wait(lock, stop, ended)) {
    if (++g_left <= kMostLeftLogins) {
      login->left = true;
      return std::nullopt;
    }
    --g_left;
    while (!login->result) login->changed.wait(lock);
  }
  return login->result;
}

}  // namespace cenote::odbc
