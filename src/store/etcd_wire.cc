// One writer for each request, one reader for each answer.
#include "store/etcd_wire.h"

#include <utility>

#include "store/base64.h"

namespace cenote::store::etcd {
namespace {

// Keys in the order given: what is sent can be compared byte by byte.
using OrderedJson = nlohmann::ordered_json;

std::string number(uint64_t value) {
  return std::to_string(value);
}

Status read_bytes(JsonReader* reader, std::string_view key, std::string* out) {
  std::string text;
  reader->maybe(key, &text);
  ARROW_ASSIGN_OR_RAISE(*out, from_base64(text));
  return Status::OK();
}

Status read_header(JsonReader* reader, uint64_t* revision) {
  const Json* header = reader->child("header", true);
  if (header == nullptr) return reader->finish(true);
  JsonReader inner(*header, reader->path("header"));
  inner.get("revision", revision);
  return inner.finish(true);
}

Result<KeyValue> key_value_from(const Json& value, const std::string& where) {
  KeyValue item;
  JsonReader reader(value, where);
  ARROW_RETURN_NOT_OK(read_bytes(&reader, "key", &item.key));
  ARROW_RETURN_NOT_OK(read_bytes(&reader, "value", &item.value));
  reader.maybe("create_revision", &item.create_revision);
  reader.maybe("mod_revision", &item.mod_revision);
  reader.maybe("lease", &item.lease);
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return item;
}

}  // namespace

std::string end_of_prefix(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xFF) prefix.pop_back();
  if (prefix.empty()) return std::string(1, '\0');
  prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

std::string range_body(std::string_view key, std::string_view end, uint64_t min_mod_revision) {
  OrderedJson body = {{"key", base64(key)}};
  if (!end.empty()) body["range_end"] = base64(end);
  if (min_mod_revision != 0) body["min_mod_revision"] = number(min_mod_revision);
  return body.dump();
}

std::string transaction_body(const Transaction& transaction) {
  OrderedJson compares = OrderedJson::array();
  for (const Compare& each : transaction.compares) {
    OrderedJson compare = {{"key", base64(each.key)}, {"result", "EQUAL"}};
    switch (each.target) {
      case Compare::Target::kModRevision:
        compare["target"] = "MOD";
        compare["mod_revision"] = number(each.value);
        break;
      case Compare::Target::kCreateRevision:
        compare["target"] = "CREATE";
        compare["create_revision"] = number(each.value);
        break;
      case Compare::Target::kValue:
        compare["target"] = "VALUE";
        compare["value"] = base64(each.text);
        break;
    }
    compares.push_back(std::move(compare));
  }
  OrderedJson success = OrderedJson::array();
  for (const Put& put : transaction.puts) {
    OrderedJson request = {{"key", base64(put.key)}, {"value", base64(put.value)}};
    if (put.lease != 0) request["lease"] = number(put.lease);
    success.push_back({{"request_put", std::move(request)}});
  }
  for (const std::string& key : transaction.deletes) {
    success.push_back({{"request_delete_range", {{"key", base64(key)}}}});
  }
  return OrderedJson{{"compare", std::move(compares)}, {"success", std::move(success)}}.dump();
}

std::string grant_body(uint64_t seconds) {
  return OrderedJson{{"TTL", number(seconds)}}.dump();
}

std::string lease_body(uint64_t lease) {
  return OrderedJson{{"ID", number(lease)}}.dump();
}

std::string watch_body(std::string_view key, std::string_view end, uint64_t from_revision) {
  const OrderedJson request = {
      {"key", base64(key)}, {"range_end", base64(end)}, {"start_revision", number(from_revision)}};
  return OrderedJson{{"create_request", request}}.dump();
}

std::string login_body(std::string_view name, std::string_view password) {
  return OrderedJson{{"name", name}, {"password", password}}.dump();
}

Result<Range> range_from(const Json& answer) {
  Range range;
  JsonReader reader(answer);
  ARROW_RETURN_NOT_OK(read_header(&reader, &range.revision));
  reader.maybe("count", &range.count);
  if (const Json* items = reader.child("kvs", false)) {
    if (!items->is_array()) reader.fail("kvs", "must be an array");
    for (size_t i = 0; items->is_array() && i < items->size(); ++i) {
      ARROW_ASSIGN_OR_RAISE(KeyValue item,
                            key_value_from((*items)[i], "/kvs/" + std::to_string(i)));
      range.items.push_back(std::move(item));
    }
  }
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return range;
}

Result<Committed> committed_from(const Json& answer) {
  Committed committed;
  JsonReader reader(answer);
  ARROW_RETURN_NOT_OK(read_header(&reader, &committed.revision));
  reader.maybe("succeeded", &committed.succeeded);
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return committed;
}

Result<uint64_t> lease_from(const Json& answer) {
  uint64_t lease = 0;
  JsonReader reader(answer);
  reader.get("ID", &lease);
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return lease;
}

Result<uint64_t> kept_alive_from(const Json& answer) {
  uint64_t left = 0;
  JsonReader reader(answer);
  if (const Json* result = reader.child("result", true)) {
    JsonReader inner(*result, "/result");
    inner.maybe("TTL", &left);
    ARROW_RETURN_NOT_OK(inner.finish(true));
  }
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return left;
}

Result<std::string> token_from(const Json& answer) {
  std::string token;
  JsonReader reader(answer);
  reader.get("token", &token);
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return token;
}

Result<WatchMessage> watch_message_from(std::string_view text) {
  ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(text));
  WatchMessage message;
  JsonReader reader(value);
  if (const Json* error = reader.child("error", false)) {
    message.error = "the watch ended";
    if (error->is_object()) {
      JsonReader(*error, "/error").maybe("message", &message.error);
    } else if (error->is_string()) {
      message.error = error->get<std::string>();
    }
  }
  if (const Json* result = reader.child("result", false)) {
    JsonReader inner(*result, "/result");
    bool canceled = false;
    uint64_t compacted = 0;
    inner.maybe("canceled", &canceled);
    inner.maybe("compact_revision", &compacted);
    const Json* events = inner.child("events", false);
    message.events = events != nullptr && events->is_array() && !events->empty();
    ARROW_RETURN_NOT_OK(inner.finish(true));
    if (canceled) {
      message.error = "the watch was cancelled";
      if (compacted != 0) message.error += ": the history begins at " + number(compacted);
    }
  }
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return message;
}

bool ObjectSplitter::feed(std::string_view piece, std::vector<std::string>* objects) {
  for (const char c : piece) {
    if (depth_ == 0 && c != '{') continue;
    object_ += c;
    if (object_.size() > limit_) return false;
    if (in_string_) {
      if (!escaped_ && c == '"') in_string_ = false;
      escaped_ = !escaped_ && c == '\\';
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{') {
      ++depth_;
    } else if (c == '}' && --depth_ == 0) {
      objects->push_back(std::exchange(object_, {}));
    }
  }
  return true;
}

}  // namespace cenote::store::etcd
