// The longest common subsequence of the lines that lie between the first and the last difference.
#include "coordinator/line_diff.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace cenote::coordinator {
namespace {

using Lines = std::vector<std::string_view>;

constexpr size_t kAround = 3;
constexpr size_t kMostCells = 4'000'000;  // of the table, 8 MB

Lines lines_of(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    lines.push_back(line);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return lines;
}

void put(std::string* out, char mark, std::string_view line) {
  *out += mark;
  *out += line;
  *out += '\n';
}

void put_middle(std::string* out, std::span<const std::string_view> a,
                std::span<const std::string_view> b) {
  const size_t width = b.size() + 1;
  const bool feasible = (a.size() + 1) * width <= kMostCells;
  // common[i][j]: of a from i on and b from j on.
  std::vector<uint16_t> common(feasible ? (a.size() + 1) * width : 0);
  for (size_t i = feasible ? a.size() : 0; i-- > 0;) {
    for (size_t j = b.size(); j-- > 0;) {
      common[i * width + j] =
          a[i] == b[j] ? static_cast<uint16_t>(common[(i + 1) * width + j + 1] + 1)
                       : std::max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() || j < b.size()) {
    if (feasible && i < a.size() && j < b.size() && a[i] == b[j]) {
      put(out, ' ', a[i]);
      ++i;
      ++j;
    } else if (i < a.size() && (!feasible || j == b.size() ||
                                common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      put(out, '-', a[i++]);
    } else {
      put(out, '+', b[j++]);
    }
  }
}

std::string range(size_t start, size_t count) {
  return std::to_string(count == 0 ? start : start + 1) + "," + std::to_string(count);
}

}  // namespace

std::string line_diff(std::string_view before, std::string_view after) {
  if (before == after) return "";
  const Lines a = lines_of(before);
  const Lines b = lines_of(after);
  const size_t shorter = std::min(a.size(), b.size());
  size_t front = 0;
  while (front < shorter && a[front] == b[front]) ++front;
  size_t back = 0;
  while (back < shorter - front && a[a.size() - 1 - back] == b[b.size() - 1 - back]) ++back;
  const size_t begin = front - std::min(front, kAround);
  const size_t tail = std::min(back, kAround);
  const size_t a_end = a.size() - back + tail;
  const size_t b_end = b.size() - back + tail;
  std::string out =
      "@@ -" + range(begin, a_end - begin) + " +" + range(begin, b_end - begin) + " @@\n";
  for (size_t i = begin; i < front; ++i) put(&out, ' ', a[i]);
  put_middle(&out, std::span(a).subspan(front, a.size() - back - front),
             std::span(b).subspan(front, b.size() - back - front));
  for (size_t i = a.size() - back; i < a_end; ++i) put(&out, ' ', a[i]);
  return out;
}

}  // namespace cenote::coordinator
