// Lines end in LF or CRLF; an empty one ends the event.
#include "net/sse.h"

#include <utility>

namespace cenote {

void SseParser::line(std::string_view text, std::vector<SseEvent>* events) {
  if (text.empty()) {
    if (has_data_) {
      if (event_.event.empty()) event_.event = "message";
      events->push_back(event_);
    }
    event_.event.clear();
    event_.data.clear();
    has_data_ = false;
    return;
  }
  const size_t colon = text.find(':');
  const std::string_view field = text.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    if (has_data_) event_.data += '\n';
    event_.data += value;
    has_data_ = true;
  } else if (field == "event") {
    event_.event = value;
  } else if (field == "id") {
    event_.id = value;
  }
}

bool SseParser::feed(std::string_view piece, std::vector<SseEvent>* events) {
  rest_ += piece;
  size_t begin = 0;
  for (size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', begin)) {
    std::string_view text(rest_.data() + begin, end - begin);
    if (text.ends_with('\r')) text.remove_suffix(1);
    line(text, events);
    begin = end + 1;
  }
  rest_.erase(0, begin);
  return rest_.size() + event_.data.size() <= limit_;
}

}  // namespace cenote
