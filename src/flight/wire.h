// Protocol buffers from one description of each message: `fields()` names every field once,
// encoding and decoding follow from it. Decoding is strict (a known field of a wrong wire type, a
// cut message or text that is not UTF-8 is an error) and passes over fields it does not know.
//
//   struct Begin {
//     static constexpr std::string_view kName = "arrow.flight.protocol.sql.Begin";
//     std::string name;                 // string; Bytes is `bytes`, an enum or number a varint
//     std::optional<Bytes> transaction; // `optional`: written whenever it is set
//     template <class Self, class Visit> static void fields(Self& self, Visit& visit) {
//       visit(1, self.name); visit(2, self.transaction);
//     }
//   };
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <arrow/util/utf8.h>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include "cenote/error.h"

namespace cenote::flight {

// A field of type `bytes`; a std::string is one of type `string`.
struct Bytes : std::string {
  using std::string::string;
  Bytes() = default;
  explicit Bytes(std::string data) : std::string(std::move(data)) {}
};

namespace wire {

template <typename T>
concept Number = std::integral<T> || std::is_enum_v<T>;
template <typename T>
concept Text = std::derived_from<T, std::string> || std::same_as<T, std::string>;

template <typename M>
void write(const M& message, protozero::pbf_writer& out);

// Writes a field unless it has its default value.
class Writer {
 public:
  explicit Writer(protozero::pbf_writer& out) : out_(out) {}

  template <Number T>
  void operator()(uint32_t tag, const T& value) {
    if (value != T{}) number(tag, value);
  }
  template <Text T>
  void operator()(uint32_t tag, const T& value) {
    if (!value.empty()) out_.add_bytes(tag, value);
  }
  template <typename T>
  void operator()(uint32_t tag, const std::optional<T>& value) {
    if (value) always(tag, *value);
  }
  template <Number T>
  void operator()(uint32_t tag, const std::vector<T>& values) {
    std::vector<uint64_t> wide;
    for (const T value : values) wide.push_back(static_cast<uint64_t>(value));
    if (!wide.empty()) out_.add_packed_uint64(tag, wide.begin(), wide.end());
  }
  template <Text T>
  void operator()(uint32_t tag, const std::vector<T>& values) {
    for (const T& value : values) out_.add_bytes(tag, value);
  }
  template <typename M>
    requires requires { M::kName; }
  void operator()(uint32_t tag, const std::vector<M>& values) {
    for (const M& value : values) always(tag, value);
  }
  void operator()(uint32_t tag, const std::map<std::string, std::string>& values) {
    for (const auto& [key, value] : values) {
      protozero::pbf_writer entry(out_, tag);
      entry.add_string(1, key);
      entry.add_string(2, value);
    }
  }

 private:
  template <typename T>
  void always(uint32_t tag, const T& value) {
    if constexpr (Number<T>) {
      number(tag, value);
    } else if constexpr (Text<T>) {
      out_.add_bytes(tag, value);
    } else {
      // Not by a nested writer: it drops a message without fields.
      std::string nested;
      protozero::pbf_writer inner(nested);
      write(value, inner);
      out_.add_message(tag, nested);
    }
  }
  // Negative numbers are ten bytes long, as protocol buffers write int32 and int64.
  template <Number T>
  void number(uint32_t tag, const T& value) {
    out_.add_uint64(tag, static_cast<uint64_t>(static_cast<int64_t>(value)));
  }

  protozero::pbf_writer& out_;
};

template <typename M>
void write(const M& message, protozero::pbf_writer& out) {
  Writer writer(out);
  M::fields(message, writer);
}

template <typename M>
bool read(protozero::pbf_reader in, M& message);

// Takes the field on which `in` stands into the member of that tag.
class Reader {
 public:
  explicit Reader(protozero::pbf_reader& in) : in_(in) {}

  template <typename T>
  void operator()(uint32_t tag, T& value) {
    if (taken_ || tag != in_.tag()) return;
    taken_ = true;
    ok_ = take(value);
  }
  bool taken() const { return taken_; }
  bool ok() const { return ok_; }

 private:
  bool is(protozero::pbf_wire_type type) const { return in_.wire_type() == type; }
  bool is_varint() const { return is(protozero::pbf_wire_type::varint); }
  bool is_length() const { return is(protozero::pbf_wire_type::length_delimited); }

  template <Number T>
  bool take(T& value) {
    if (!is_varint()) return false;
    const uint64_t number = in_.get_uint64();
    value = static_cast<T>(number);
    return std::same_as<T, bool> || static_cast<uint64_t>(static_cast<int64_t>(value)) == number;
  }
  template <Text T>
  bool take(T& value) {
    if (!is_length()) return false;
    const protozero::data_view view = in_.get_view();
    value.assign(view.data(), view.size());
    return std::same_as<T, Bytes> || arrow::util::ValidateUTF8(value);
  }
  template <typename T>
  bool take(std::optional<T>& value) {
    return take(value.emplace());
  }
  template <Number T>
  bool take(std::vector<T>& values) {
    if (is_varint()) return take(values.emplace_back());
    if (!is_length()) return false;
    for (const uint64_t value : in_.get_packed_uint64()) values.push_back(static_cast<T>(value));
    return true;
  }
  template <typename T>
    requires(!Number<T>)
  bool take(std::vector<T>& values) {
    return take(values.emplace_back());
  }
  bool take(std::map<std::string, std::string>& values) {
    if (!is_length()) return false;
    protozero::pbf_reader entry = in_.get_message();
    std::string key;
    std::string value;
    while (entry.next()) {
      Reader reader(entry);
      reader(1, key);
      reader(2, value);
      if (!reader.taken()) entry.skip();
      if (!reader.ok()) return false;
    }
    values[key] = value;
    return true;
  }
  template <typename M>
    requires requires { M::kName; }
  bool take(M& message) {
    return is_length() && read(in_.get_message(), message);
  }

  protozero::pbf_reader& in_;
  bool taken_ = false;
  bool ok_ = true;
};

template <typename M>
bool read(protozero::pbf_reader in, M& message) {
  while (in.next()) {
    Reader reader(in);
    M::fields(message, reader);
    if (!reader.taken()) in.skip();
    if (!reader.ok()) return false;
  }
  return true;
}

}  // namespace wire

template <typename M>
std::string encode(const M& message) {
  std::string bytes;
  protozero::pbf_writer out(bytes);
  wire::write(message, out);
  return bytes;
}

// kInterface names the message.
template <typename M>
Result<M> decode(std::string_view bytes) {
  arrow::util::InitializeUTF8();
  M message;
  bool ok = false;
  try {
    ok = wire::read(protozero::pbf_reader(bytes.data(), bytes.size()), message);
  } catch (const protozero::exception&) {
    ok = false;
  }
  if (ok) return message;
  return make_error(ErrorKind::kInterface,
                    "the bytes of a message " + std::string(M::kName) + " are damaged");
}

// google.protobuf.Any, in which Flight SQL wraps its commands, tickets and most action bodies.
struct Any {
  static constexpr std::string_view kName = "google.protobuf.Any";
  static constexpr std::string_view kPrefix = "type.googleapis.com/";

  std::string type_url;
  Bytes value;

  // The message's name behind the prefix; or empty.
  std::string_view name() const {
    const std::string_view url = type_url;
    return url.starts_with(kPrefix) ? url.substr(kPrefix.size()) : std::string_view();
  }

  template <class Self, class Visit>
  static void fields(Self& self, Visit& visit) {
    visit(1, self.type_url);
    visit(2, self.value);
  }
};

template <typename M>
std::string encode_any(const M& message) {
  return encode(Any{std::string(Any::kPrefix) + std::string(M::kName), Bytes(encode(message))});
}

}  // namespace cenote::flight
