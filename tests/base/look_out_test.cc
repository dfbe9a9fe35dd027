// Looking out finds what comes soon, and rests after it was in vain.
#include "base/look_out.h"

#include <chrono>

#include <gtest/gtest.h>

namespace cenote {
namespace {

TEST(LookOut, what_comes_soon_is_found) {
  // Where others want the processor, one look-out may end in vain; not all of them.
  bool found = false;
  for (int i = 0; i < 1000 && !found; ++i) {
    LookOut look_out;
    int asked = 0;
    found = look_out.until([&asked] { return ++asked == 3; });
  }
  EXPECT_TRUE(found);
}

TEST(LookOut, in_vain_it_rests_and_then_looks_again) {
  LookOut look_out;
  EXPECT_FALSE(look_out.until([] { return false; }));
  int asked = 0;
  const auto count = [&asked] { return ++asked > 0; };
  EXPECT_FALSE(look_out.until(count, TimePoint::min()));
  EXPECT_EQ(asked, 0);
  EXPECT_TRUE(look_out.until(count, Clock::now() + LookOut::kLongestRest));
  EXPECT_EQ(asked, 1);
}

}  // namespace
}  // namespace cenote
