// Events come out whole, however their bytes are cut.
#include "net/sse.h"

#include <gtest/gtest.h>

namespace cenote {
namespace {

TEST(Sse, events_are_the_same_however_the_stream_is_cut) {
  const std::string stream =
      ": a comment\nid: 1.7\nevent: change\ndata: {\"a\":1}\n\n"
      "data: two\r\ndata: lines\r\n\r\nevent: nothing\n\ndata:x\n\n";
  for (size_t size = 1; size < stream.size(); ++size) {
    SseParser parser;
    std::vector<SseEvent> events;
    for (size_t at = 0; at < stream.size(); at += size) {
      EXPECT_TRUE(parser.feed(std::string_view(stream).substr(at, size), &events));
    }
    ASSERT_EQ(events.size(), 3u) << size;
    EXPECT_EQ(events[0].event, "change");
    EXPECT_EQ(events[0].id, "1.7");
    EXPECT_EQ(events[0].data, "{\"a\":1}");
    EXPECT_EQ(events[1].data, "two\nlines");
    EXPECT_EQ(events[1].event, "message");
    EXPECT_EQ(events[2].data, "x");
  }
}

TEST(Sse, an_event_without_end_is_refused_at_the_limit) {
  SseParser parser(100);
  std::vector<SseEvent> events;
  EXPECT_FALSE(parser.feed("data: " + std::string(200, 'x'), &events));
}

}  // namespace
}  // namespace cenote
