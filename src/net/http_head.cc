// The checks, line by line. Section numbers are RFC 9112's.
#include "net/http_head.h"

#include <algorithm>
#include <cstdint>

namespace cenote {
namespace {

using Refusal = std::optional<HttpRefusal>;

Refusal bad(std::string_view reason) {
  return HttpRefusal{400, reason};
}

bool is_token_char(char c) {
  const bool alphanumeric =
      (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return alphanumeric || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

bool is_visible(char c) {
  return c > 0x20 && c < 0x7F;
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// Fields that decide where the request ends and whom it is for.
struct Framing {
  bool old = false;  // HTTP/1.0
  int hosts = 0;
  int lengths = 0;
  int encodings = 0;
  std::string_view length;
  std::string_view encoding;
};

// §3: method, target, version, one space between them.
Refusal check_request_line(std::string_view line, Framing* framing) {
  const size_t first = line.find(' ');
  const size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos) return bad("the request line is not METHOD /path HTTP/1.1");
  const std::string_view target = line.substr(first + 1, second - first - 1);
  const std::string_view version = line.substr(second + 1);
  if (!is_token(line.substr(0, first))) return bad("the method is no word");
  // §3.2: absolute-form, authority-form and '*' are for proxies and OPTIONS.
  if (!target.starts_with('/')) return bad("the target must be a path that begins with '/'");
  if (!std::all_of(target.begin(), target.end(), is_visible) ||
      target.find('#') != std::string_view::npos) {
    return bad("the target has a character that must be percent-encoded");
  }
  framing->old = version == "HTTP/1.0";
  if (framing->old || version == "HTTP/1.1") return {};
  const bool other = version.size() == 8 && version.starts_with("HTTP/") && version[6] == '.';
  return other ? HttpRefusal{505, "this server speaks HTTP/1.1"}
               : bad("the version is not HTTP/1.1");
}

// §5: name, colon, value.
Refusal check_field(std::string_view line, Framing* framing) {
  if (line.starts_with(' ') || line.starts_with('\t')) return bad("folded fields are refused");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
    return bad("a field is not Name: value");
  }
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  for (const char c : value) {
    const auto byte = static_cast<uint8_t>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7F) return bad("a field has a control character");
  }
  if (same(name, "host")) {
    ++framing->hosts;
    if (!std::all_of(value.begin(), value.end(), is_visible) ||
        value.find_first_of(",/@") != std::string_view::npos) {
      return bad("Host is not host:port");
    }
  } else if (same(name, "content-length")) {
    ++framing->lengths;
    framing->length = value;
  } else if (same(name, "transfer-encoding")) {
    ++framing->encodings;
    framing->encoding = value;
  }
  return {};
}

// §3.2, §6: one reading only of whom the request is for and where it ends.
Refusal check_framing(const Framing& framing) {
  if (framing.hosts > 1 || (framing.hosts == 0 && !framing.old))
    return bad("exactly one Host is needed");
  if (framing.lengths > 1) return bad("Content-Length is given more than once");
  if (framing.lengths == 1 &&
      (framing.length.empty() ||
       framing.length.find_first_not_of("0123456789") != std::string_view::npos)) {
    return bad("Content-Length is not a number");
  }
  if (framing.encodings > 0) {
    if (framing.lengths > 0) return bad("both Transfer-Encoding and Content-Length");
    if (framing.old) return bad("Transfer-Encoding in HTTP/1.0");
    if (framing.encodings > 1 || !same(framing.encoding, "chunked")) {
      return bad("Transfer-Encoding must be chunked alone");
    }
    return HttpRefusal{411, "send the body with a Content-Length"};
  }
  constexpr size_t kMostDigits = 18;  // far beyond every limit, and safe to read
  const size_t first = std::min(framing.length.find_first_not_of('0'), framing.length.size());
  if (framing.length.size() - first > kMostDigits) return HttpRefusal{413, "the body is too large"};
  return {};
}

uint64_t number(std::string_view digits) {
  uint64_t value = 0;
  for (const char c : digits) value = value * 10 + static_cast<uint64_t>(c - '0');
  return value;
}

}  // namespace

Refusal refusal_of_part(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == '\n' && (i == 0 || bytes[i - 1] != '\r')) {
      return bad("a line must end in CR LF");
    }
    if (bytes[i] == '\0') return bad("a zero byte");
  }
  // §2.2 lets a server skip an empty line before the request; this one does not.
  if (bytes.starts_with("\r\n")) return bad("an empty line before the request");
  return {};
}

Refusal refusal_of_head(std::string_view head, uint64_t* body_length) {
  if (const Refusal part = refusal_of_part(head)) return part;
  if (!head.ends_with("\r\n\r\n")) return bad("the head has no end");
  head.remove_suffix(2);
  Framing framing;
  for (bool first = true; !head.empty(); first = false) {
    const size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + 2);
    if (line.find('\r') != std::string_view::npos) return bad("a carriage return inside of a line");
    if (line.empty()) return bad("an empty line inside of the head");
    const Refusal refusal =
        first ? check_request_line(line, &framing) : check_field(line, &framing);
    if (refusal) return refusal;
  }
  if (const Refusal refusal = check_framing(framing)) return refusal;
  const size_t first = std::min(framing.length.find_first_not_of('0'), framing.length.size());
  *body_length = number(framing.length.substr(first));
  return {};
}

}  // namespace cenote
