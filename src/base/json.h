// Reading JSON strictly: what arrives from elsewhere is bounded in depth, has no key twice, none
// that nobody asked for, and every value has the type that was asked for. Errors say where, as a
// JSON pointer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "cenote/error.h"

namespace cenote {

using Json = nlohmann::json;

// At most 32 levels deep, UTF-8, each key once. kData with the place.
Result<Json> parse_json(std::string_view text);

// A number where every reader of JSON can hold it exactly, else its digits as text (RFC 7493 §2.2).
Json json_number(uint64_t value);
Json json_number(int64_t value);

// Reads the keys of one object. The first error is kept and ends the reading.
class JsonReader {
 public:
  // `value` outlives the reader; `where` is its JSON pointer ("" for the whole).
  explicit JsonReader(const Json& value, std::string where = "");

  // Required.
  void get(std::string_view key, std::string* out) { read(key, out, true); }
  void get(std::string_view key, bool* out) { read(key, out, true); }
  void get(std::string_view key, double* out) { read(key, out, true); }
  void get(std::string_view key, int* out) { read(key, out, true); }
  void get(std::string_view key, uint64_t* out) { read(key, out, true); }
  // Left alone if the key is absent or null.
  void maybe(std::string_view key, std::string* out) { read(key, out, false); }
  void maybe(std::string_view key, bool* out) { read(key, out, false); }
  void maybe(std::string_view key, double* out) { read(key, out, false); }
  void maybe(std::string_view key, int* out) { read(key, out, false); }
  void maybe(std::string_view key, uint64_t* out) { read(key, out, false); }
  void maybe(std::string_view key, std::map<std::string, std::string>* out);

  // The value of a key, for what is nested; null if it is absent.
  const Json* child(std::string_view key, bool required);
  std::string path(std::string_view key) const { return where_ + "/" + std::string(key); }
  void fail(std::string_view key, const std::string& why);

  // The first error; keys that nobody asked for are one, unless `tolerant`: a newer peer may say
  // more than we know.
  Status finish(bool tolerant = false);

 private:
  void read(std::string_view key, std::string* out, bool required);
  void read(std::string_view key, bool* out, bool required);
  void read(std::string_view key, double* out, bool required);
  void read(std::string_view key, int* out, bool required);
  void read(std::string_view key, uint64_t* out, bool required);

  const Json& value_;
  const std::string where_;
  std::set<std::string, std::less<>> asked_;
  Status status_;
};

}  // namespace cenote
