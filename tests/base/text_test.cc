// The small rules for text that several parts share.
#include <gtest/gtest.h>

#include "base/label.h"
#include "base/percent.h"

namespace cenote {
namespace {

TEST(PercentDecoded, gives_the_bytes_that_were_meant) {
  EXPECT_EQ(percent_decoded("a%20b%2fc%C3%A4"), "a b/c\xc3\xa4");
  EXPECT_EQ(percent_decoded("%41"), "A");
  EXPECT_EQ(percent_decoded(""), "");
}

TEST(PercentDecoded, refuses_what_is_no_encoding_and_what_it_is_told_to) {
  for (const char* bad : {"%", "%4", "a%", "%4g", "%g4", "%%41", "% 1"}) {
    EXPECT_EQ(percent_decoded(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(percent_decoded("a%2Fb", "/"), std::nullopt);
  EXPECT_EQ(percent_decoded("a/b", "/"), "a/b");
  EXPECT_EQ(percent_decoded("a%00b", std::string_view("\0", 1)), std::nullopt);
}

TEST(LabelValue, stays_between_its_quotes_and_on_its_line) {
  EXPECT_EQ(label_value("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
}

}  // namespace
}  // namespace cenote
