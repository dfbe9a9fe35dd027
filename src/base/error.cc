// Errors: from kind to Arrow's code, and the conclusions drawn from a detail. The only file that
// decides these.
#include "cenote/error.h"

#include <array>
#include <utility>

#include "base/clip.h"

namespace cenote {
namespace {

struct KindRow {
  std::string_view name;
  arrow::StatusCode code;
};

// In the order of ErrorKind. The codes are those that Arrow's own consumers (Flight, ADBC) map back
// to PEP 249 classes.
constexpr std::array kKinds = {
    KindRow{"interface", arrow::StatusCode::Invalid},
    KindRow{"programming", arrow::StatusCode::Invalid},
    KindRow{"integrity", arrow::StatusCode::AlreadyExists},
    KindRow{"data", arrow::StatusCode::Invalid},
    KindRow{"internal", arrow::StatusCode::UnknownError},
    KindRow{"not_supported", arrow::StatusCode::NotImplemented},
    KindRow{"operational", arrow::StatusCode::IOError},
    KindRow{"connection", arrow::StatusCode::IOError},
    KindRow{"authentication", arrow::StatusCode::IOError},
    KindRow{"overload", arrow::StatusCode::IOError},
    KindRow{"read_only", arrow::StatusCode::IOError},
    KindRow{"query_timeout", arrow::StatusCode::Cancelled},
    KindRow{"cancelled", arrow::StatusCode::Cancelled},
    KindRow{"pool_timeout", arrow::StatusCode::CapacityError},
    KindRow{"pool_exhausted", arrow::StatusCode::CapacityError},
    KindRow{"pool_closed", arrow::StatusCode::Invalid},
    KindRow{"unknown_pool", arrow::StatusCode::KeyError},
    KindRow{"config", arrow::StatusCode::Invalid},
};
static_assert(kKinds.size() == static_cast<size_t>(ErrorKind::kConfig) + 1);

const KindRow& row(ErrorKind kind) {
  return kKinds.at(static_cast<size_t>(kind));
}

// A message may quote the whole statement, which may be megabytes.
constexpr size_t kLongestMessage = 4000;

// SQLSTATEs after which the server guarantees that nothing of the transaction stayed (class 40).
bool rolled_back(const ErrorDetail& detail) {
  return detail.sqlstate.starts_with("40");
}

}  // namespace

std::string_view to_string(ErrorKind kind) {
  return row(kind).name;
}

std::string ErrorDetail::ToString() const {
  std::string text = "kind=" + std::string(row(kind).name);
  if (!sqlstate.empty()) text += " sqlstate=" + sqlstate;
  if (vendor_code != 0) text += " vendor_code=" + std::to_string(vendor_code);
  if (!pool.empty()) text += " pool=" + pool;
  if (!endpoint.empty()) text += " endpoint=" + endpoint;
  return text;
}

Status make_error(ErrorDetail detail, std::string message) {
  const arrow::StatusCode code = row(detail.kind).code;
  if (message.size() > kLongestMessage) {
    message.resize(clipped(message, kLongestMessage).size());
    message += " …";
  }
  return {code, std::move(message), std::make_shared<ErrorDetail>(std::move(detail))};
}

Status make_error(ErrorKind kind, std::string message) {
  ErrorDetail detail;
  detail.kind = kind;
  if (kind == ErrorKind::kInterface || kind >= ErrorKind::kPoolTimeout) detail.sent = Sent::kNo;
  return make_error(std::move(detail), std::move(message));
}

const ErrorDetail* error_detail(const Status& status) {
  return dynamic_cast<const ErrorDetail*>(status.detail().get());
}

ErrorKind error_kind(const Status& status) {
  if (const ErrorDetail* detail = error_detail(status)) return detail->kind;
  switch (status.code()) {
    case arrow::StatusCode::Cancelled:
      return ErrorKind::kCancelled;
    case arrow::StatusCode::NotImplemented:
      return ErrorKind::kNotSupported;
    case arrow::StatusCode::TypeError:
    case arrow::StatusCode::SerializationError:
      return ErrorKind::kData;
    case arrow::StatusCode::Invalid:
    case arrow::StatusCode::KeyError:
    case arrow::StatusCode::IndexError:
      return ErrorKind::kInterface;
    case arrow::StatusCode::IOError:
    case arrow::StatusCode::OutOfMemory:
    case arrow::StatusCode::CapacityError:
      return ErrorKind::kOperational;
    default:
      return ErrorKind::kInternal;
  }
}

Status with_origin(const Status& status, std::string_view pool, std::string_view endpoint) {
  if (status.ok()) return status;
  ErrorDetail detail;
  if (const ErrorDetail* known = error_detail(status)) {
    detail = *known;
  } else {
    detail.kind = error_kind(status);
  }
  const bool name_pool = detail.pool.empty() && !pool.empty();
  if (name_pool) detail.pool = pool;
  if (detail.endpoint.empty()) detail.endpoint = endpoint;
  std::string message = status.message();
  if (name_pool) {
    std::string origin = "pool '" + detail.pool + "'";
    if (!detail.endpoint.empty()) origin += " at " + detail.endpoint;
    message = origin + ": " + message;
  }
  return {status.code(), std::move(message), std::make_shared<ErrorDetail>(std::move(detail))};
}

bool retryable(const Status& status) {
  const ErrorDetail* detail = error_detail(status);
  if (detail == nullptr) return false;
  switch (detail->kind) {
    case ErrorKind::kPoolTimeout:
    case ErrorKind::kPoolExhausted:
    case ErrorKind::kOverload:
      return true;
    case ErrorKind::kConnection:
    case ErrorKind::kOperational:
      return detail->sent == Sent::kNo || rolled_back(*detail);
    default:
      return rolled_back(*detail);
  }
}

bool counts_against_target(const Status& status) {
  const ErrorDetail* detail = error_detail(status);
  return detail != nullptr &&
         (detail->kind == ErrorKind::kConnection || detail->kind == ErrorKind::kReadOnly);
}

bool poisons_connection(const Status& status) {
  const ErrorDetail* detail = error_detail(status);
  return detail != nullptr && detail->poisons_connection;
}

}  // namespace cenote
