// The error's detail as JSON in a FlightStatusDetail, and back.
#include "flight/errors.h"

#include <array>
#include <memory>
#include <utility>

#include <arrow/flight/types.h>
#include <nlohmann/json.hpp>

#include "base/clip.h"

namespace cenote::flight {
namespace {

using arrow::flight::FlightStatusCode;
using arrow::flight::FlightStatusDetail;

constexpr size_t kMostText = 1024;

// libarrow_flight sends ToString() as `x-arrow-status-detail-bin`, where ADBC shows it, and the
// extra information as `grpc-status-details-bin`, where our own client finds it.
class WireDetail final : public FlightStatusDetail {
 public:
  WireDetail(FlightStatusCode code, const std::string& json) : FlightStatusDetail(code, json) {}
  std::string ToString() const override { return extra_info(); }
};

// The same without a code of Flight's own: gRPC's code follows from the Arrow status.
class PlainDetail final : public arrow::StatusDetail {
 public:
  explicit PlainDetail(std::string json) : json_(std::move(json)) {}
  const char* type_id() const override { return "cenote::flight::PlainDetail"; }
  std::string ToString() const override { return json_; }

 private:
  const std::string json_;
};

constexpr std::array<std::string_view, 3> kSentNames = {"no", "maybe", "yes"};

std::shared_ptr<arrow::StatusDetail> wire_detail(ErrorKind kind, const std::string& json) {
  switch (kind) {
    case ErrorKind::kQueryTimeout:
      return std::make_shared<WireDetail>(FlightStatusCode::TimedOut, json);
    case ErrorKind::kCancelled:
      return std::make_shared<WireDetail>(FlightStatusCode::Cancelled, json);
    // A database that refuses *our* credentials must not look like a wrong password of the caller.
    case ErrorKind::kAuthentication:
    case ErrorKind::kConnection:
    case ErrorKind::kOverload:
    case ErrorKind::kPoolTimeout:
    case ErrorKind::kPoolExhausted:
    case ErrorKind::kPoolClosed:
      return std::make_shared<WireDetail>(FlightStatusCode::Unavailable, json);
    default:
      return std::make_shared<PlainDetail>(json);
  }
}

ErrorKind kind_named(std::string_view name) {
  for (uint8_t i = 0; i <= static_cast<uint8_t>(ErrorKind::kConfig); ++i) {
    const auto kind = static_cast<ErrorKind>(i);
    if (to_string(kind) == name) return kind;
  }
  return ErrorKind::kInternal;
}

std::string text_of(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

// The JSON object of a node in whatever libarrow_flight made of it.
nlohmann::json find_json(const Status& status) {
  std::string text;
  if (const auto detail = FlightStatusDetail::UnwrapStatus(status)) text = detail->extra_info();
  if (!text.starts_with("{") && status.detail() != nullptr) text = status.detail()->ToString();
  if (!text.starts_with("{")) text = status.message();
  // Text around it: "… Detail: {…}. gRPC client debug context: …"
  for (size_t at = text.find("{\"cenote\""); at != std::string::npos;
       at = text.find("{\"cenote\"", at + 1)) {
    for (size_t end = text.find('}', at); end != std::string::npos; end = text.find('}', end + 1)) {
      nlohmann::json json = nlohmann::json::parse(text.substr(at, end + 1 - at), nullptr, false);
      if (json.is_object()) return json;
    }
  }
  return nullptr;
}

// Text that libarrow_flight adds behind the server's message.
std::string own_text(std::string text, const std::string& sqlstate) {
  for (const char* tail :
       {". Detail: {\"cenote\"", ". gRPC client debug context", ". Client context: "}) {
    const size_t at = text.find(tail);
    if (at != std::string::npos) text.resize(at);
  }
  const std::string prefix = "[" + sqlstate + "] ";
  if (!sqlstate.empty() && text.starts_with(prefix)) text.erase(0, prefix.size());
  return text;
}

bool never_arrived(const Status& status) {
  // Words of gRPC for a connection that was never made; everything else may have been sent.
  for (const char* words : {"failed to connect to all addresses", "Connection refused",
                            "DNS resolution failed", "No route to host", "Name resolution"}) {
    if (status.message().find(words) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

Status to_wire(const Status& status, std::string_view node_id) {
  if (status.ok()) return status;
  ErrorDetail detail;
  if (const ErrorDetail* known = error_detail(status)) {
    detail = *known;
  } else if (FlightStatusDetail::UnwrapStatus(status) != nullptr) {
    return status;  // made for Flight already
  } else {
    detail.kind = error_kind(status);
  }
  nlohmann::json json{{"cenote", 1},
                      {"kind", to_string(detail.kind)},
                      {"retryable", retryable(status)},
                      {"sent", kSentNames.at(static_cast<size_t>(detail.sent))}};
  if (!detail.sqlstate.empty()) json["sqlstate"] = detail.sqlstate;
  if (detail.vendor_code != 0) json["vendor_code"] = detail.vendor_code;
  if (!detail.pool.empty()) json["pool"] = detail.pool;
  if (!detail.endpoint.empty()) json["endpoint"] = detail.endpoint;
  if (!node_id.empty()) json["node"] = node_id;
  std::string message(clipped(status.message(), kMostText));
  if (message.size() < status.message().size()) message += "…";
  if (!detail.sqlstate.empty()) message = "[" + detail.sqlstate + "] " + message;
  const std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return {status.code(), std::move(message), wire_detail(detail.kind, text)};
}

Status from_wire(const Status& status, std::string_view location) {
  if (status.ok() || error_detail(status) != nullptr) return status;
  const nlohmann::json json = find_json(status);
  ErrorDetail detail;
  if (json.is_object()) {
    detail.kind = kind_named(text_of(json, "kind"));
    detail.sqlstate = text_of(json, "sqlstate");
    detail.pool = text_of(json, "pool");
    detail.endpoint = text_of(json, "endpoint");
    const std::string sent = text_of(json, "sent");
    detail.sent = sent == "no" ? Sent::kNo : sent == "maybe" ? Sent::kMaybe : Sent::kYes;
    const auto vendor = json.find("vendor_code");
    if (vendor != json.end() && vendor->is_number_integer()) {
      detail.vendor_code = vendor->get<int32_t>();
    }
    std::string message = own_text(status.message(), detail.sqlstate);
    return make_error(std::move(detail), std::move(message));
  }
  detail.endpoint = location;
  detail.sent = never_arrived(status) ? Sent::kNo : Sent::kMaybe;
  const std::string message =
      "node " + std::string(location) + ": " + own_text(status.message(), "");
  const auto flight = FlightStatusDetail::UnwrapStatus(status);
  if (flight != nullptr) {
    switch (flight->code()) {
      case FlightStatusCode::TimedOut:
        detail.kind = ErrorKind::kQueryTimeout;
        return make_error(std::move(detail), message);
      case FlightStatusCode::Unauthenticated:
      case FlightStatusCode::Unauthorized:
        detail.kind = ErrorKind::kAuthentication;
        detail.sent = Sent::kNo;
        return make_error(std::move(detail), message);
      default:
        break;
    }
  }
  // Cancelled too: a server that stops cancels what runs. Callers that cancelled know it
  // themselves.
  detail.kind = ErrorKind::kConnection;
  return make_error(std::move(detail), message);
}

bool connection_refused(const Status& status) {
  return error_kind(status) == ErrorKind::kConnection &&
         status.message().find("Connection refused") != std::string::npos;
}

}  // namespace cenote::flight
