// Values of labels in Prometheus's text format.
#pragma once

#include <string>
#include <string_view>

namespace cenote {

// Between quotes: backslash, quote and line break are escaped.
inline std::string label_value(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace cenote
