// Depth and duplicate keys are checked while parsing: the finished value no longer shows them.
#include "base/json.h"

#include <charconv>
#include <limits>
#include <utility>

namespace cenote {
namespace {

constexpr int kMaxDepth = 32;
constexpr uint64_t kExact = uint64_t{1} << 53;

Status bad(const std::string& where, const std::string& why) {
  return make_error(ErrorKind::kData, (where.empty() ? "the body" : where) + ": " + why);
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
  std::vector<std::set<std::string>> open;
  Status status;
  const auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    using Event = Json::parse_event_t;
    if (!status.ok()) return false;
    if (event == Event::object_start || event == Event::array_start) {
      if (depth >= kMaxDepth) {
        status = bad("", "nested deeper than " + std::to_string(kMaxDepth) + " levels");
        return false;
      }
      if (event == Event::object_start) open.emplace_back();
    } else if (event == Event::object_end) {
      open.pop_back();
    } else if (event == Event::key) {
      if (!open.back().insert(parsed.get<std::string>()).second) {
        status = bad("", "the key '" + parsed.get<std::string>() + "' stands twice");
        return false;
      }
    }
    return true;
  };
  // Nothing throws: with exceptions off the library returns a discarded value.
  Json value = Json::parse(text.begin(), text.end(), check, false);
  ARROW_RETURN_NOT_OK(status);
  if (value.is_discarded()) return bad("", "this is no JSON (RFC 8259, UTF-8)");
  return value;
}

Json json_number(uint64_t value) {
  return value <= kExact ? Json(value) : Json(std::to_string(value));
}

Json json_number(int64_t value) {
  const uint64_t size =
      value < 0 ? uint64_t{0} - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  return size <= kExact ? Json(value) : Json(std::to_string(value));
}

JsonReader::JsonReader(const Json& value, std::string where)
    : value_(value), where_(std::move(where)) {
  if (!value_.is_object()) status_ = bad(where_, "must be an object");
}

void JsonReader::fail(std::string_view key, const std::string& why) {
  if (status_.ok()) status_ = bad(path(key), why);
}

const Json* JsonReader::child(std::string_view key, bool required) {
  asked_.emplace(key);
  if (!status_.ok()) return nullptr;
  const auto found = value_.find(std::string(key));
  if (found != value_.end() && !found->is_null()) return &*found;
  if (required) fail(key, "is missing");
  return nullptr;
}

void JsonReader::read(std::string_view key, std::string* out, bool required) {
  const Json* found = child(key, required);
  if (found == nullptr) return;
  if (!found->is_string()) return fail(key, "must be a string");
  *out = found->get<std::string>();
}

void JsonReader::read(std::string_view key, bool* out, bool required) {
  const Json* found = child(key, required);
  if (found == nullptr) return;
  if (!found->is_boolean()) return fail(key, "must be true or false");
  *out = found->get<bool>();
}

void JsonReader::read(std::string_view key, double* out, bool required) {
  const Json* found = child(key, required);
  if (found == nullptr) return;
  if (!found->is_number()) return fail(key, "must be a number");
  *out = found->get<double>();
}

void JsonReader::read(std::string_view key, uint64_t* out, bool required) {
  const Json* found = child(key, required);
  if (found == nullptr) return;
  if (found->is_string()) {
    const std::string text = found->get<std::string>();
    const auto end = std::from_chars(text.data(), text.data() + text.size(), *out);
    if (end.ec == std::errc() && end.ptr == text.data() + text.size() && !text.empty()) return;
  } else if (found->is_number_integer() &&
             (found->is_number_unsigned() || found->get<int64_t>() >= 0)) {
    *out = found->get<uint64_t>();
    return;
  }
  fail(key, "must be a whole number, not below 0");
}

void JsonReader::read(std::string_view key, int* out, bool required) {
  uint64_t value = 0;
  const Json* found = child(key, required);
  if (found == nullptr) return;
  read(key, &value, required);
  if (value > static_cast<uint64_t>(std::numeric_limits<int>::max())) {
    return fail(key, "is too large");
  }
  *out = static_cast<int>(value);
}

void JsonReader::maybe(std::string_view key, std::map<std::string, std::string>* out) {
  const Json* found = child(key, false);
  if (found == nullptr) return;
  if (!found->is_object()) return fail(key, "must be an object of strings");
  for (const auto& [name, value] : found->items()) {
    if (!value.is_string()) return fail(key, "must be an object of strings");
    out->emplace(name, value.get<std::string>());
  }
}

Status JsonReader::finish(bool tolerant) {
  if (!status_.ok() || tolerant) return status_;
  for (const auto& [key, value] : value_.items()) {
    if (!asked_.contains(key)) return bad(path(key), "is not known here");
  }
  return status_;
}

}  // namespace cenote
