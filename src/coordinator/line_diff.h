// What changed between two texts, as people read it.
#pragma once

#include <string>
#include <string_view>

namespace cenote::coordinator {

// One hunk in the form of `diff -u`, with three lines around it; empty if the texts are the same.
// Very different long texts are shown as all lines gone and all lines new. Pure.
std::string line_diff(std::string_view before, std::string_view after);

}  // namespace cenote::coordinator
