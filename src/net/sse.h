// Server-sent events out of pieces of a body, as the HTML standard §9.2 reads them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cenote {

struct SseEvent {
  std::string event;  // "message" if the stream names none
  std::string id;
  std::string data;
};

class SseParser {
 public:
  // The events that the piece completes. False once one grew beyond `limit` bytes.
  bool feed(std::string_view piece, std::vector<SseEvent>* events);
  explicit SseParser(size_t limit = size_t{16} << 20) : limit_(limit) {}

 private:
  void line(std::string_view text, std::vector<SseEvent>* events);

  const size_t limit_;
  std::string rest_;
  SseEvent event_;
  bool has_data_ = false;
};

}  // namespace cenote
