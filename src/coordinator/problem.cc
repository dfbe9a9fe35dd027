// From refusals and kinds of errors to statuses.
#include "coordinator/problem.h"

#include "coordinator/refusal.h"

namespace cenote::coordinator {
namespace {

int status_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::kBadRequest:
      return 400;
    case Refusal::kForbidden:
      return 403;
    case Refusal::kNotFound:
      return 404;
    case Refusal::kConflict:
      return 409;
    case Refusal::kGone:
      return 410;
    case Refusal::kStale:
      return 412;
    case Refusal::kInvalid:
      return 422;
    case Refusal::kPreconditionRequired:
      return 428;
    case Refusal::kBusy:
      return 503;
  }
  return 500;
}

// JsonReader's messages begin with the place: "/pools/0/max: must be …".
std::string pointer_of(const std::string& message) {
  const size_t end = message.find(": ");
  return message.starts_with('/') && end != std::string::npos ? message.substr(0, end) : "";
}

}  // namespace

Problem problem_of(const Status& status) {
  const std::string& message = status.message();
  if (const std::optional<Refusal> refusal = refusal_of(status)) {
    return {status_of(*refusal), message, pointer_of(message)};
  }
  switch (error_kind(status)) {
    case ErrorKind::kData:
      return {422, message, pointer_of(message)};
    case ErrorKind::kNotSupported:
      return {501, message, ""};
    case ErrorKind::kInterface:
    case ErrorKind::kConfig:
      return {422, message, ""};
    default: {
      const ErrorDetail* detail = error_detail(status);
      const bool maybe = detail != nullptr && detail->sent == Sent::kMaybe;
      return {503,
              message + (maybe ? "; whether the change was made is not known: read before you "
                                 "retry, or repeat it with the same Idempotency-Key"
                               : "; try again"),
              ""};
    }
  }
}

std::string_view title_of(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Content";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Internal Server Error";
  }
}

Json to_json(const Problem& problem) {
  Json out = {
      {"title", title_of(problem.status)}, {"status", problem.status}, {"detail", problem.detail}};
  if (!problem.pointer.empty()) {
    out["errors"] = Json::array({{{"pointer", problem.pointer}, {"detail", problem.detail}}});
  }
  return out;
}

}  // namespace cenote::coordinator
