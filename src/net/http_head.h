// The head of an HTTP/1 request, checked more strictly than Boost.Beast does. Two parties that read
// one request differently is what request smuggling lives on, so whatever RFC 9112 lets a server
// refuse is refused. Pure: bytes in, a verdict out.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace cenote {

struct HttpRefusal {
  int status;
  std::string_view reason;  // a literal
};

// Whether bytes that have arrived so far can still become an acceptable head: a line that ends in a
// bare line feed never will, and waiting for more would only take time.
std::optional<HttpRefusal> refusal_of_part(std::string_view bytes);

// Why a whole head (request line, fields, empty line) is refused; nothing if it is good. Refused
// are: line ends other than CR LF; a target that is not a path; versions other than 1.1 and 1.0;
// control characters; folded fields; a space before the colon; no Host or two; Content-Length that
// is repeated, a list or no number; Transfer-Encoding beside Content-Length, in 1.0, or other than
// "chunked", and then too: a body needs its length beforehand. `body_length`: of a good head.
std::optional<HttpRefusal> refusal_of_head(std::string_view head, uint64_t* body_length);

}  // namespace cenote
