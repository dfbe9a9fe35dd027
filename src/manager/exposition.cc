// Families in the order of their first appearance.
#include "manager/exposition.h"

#include <map>
#include <string_view>

namespace cenote {
namespace {

struct Family {
  std::string help;
  std::string type;
  std::string samples;
};

// The name behind "# HELP " or "# TYPE ".
std::string named(std::string_view line) {
  line.remove_prefix(7);
  return std::string(line.substr(0, line.find(' ')));
}

}  // namespace

std::string merge_expositions(const std::vector<std::string>& texts) {
  std::vector<Family> families;
  std::map<std::string, size_t> places;
  for (const std::string& text : texts) {
    Family* family = nullptr;
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      const std::string line = text.substr(begin, end - begin) + '\n';
      begin = end + 1;
      const bool help = line.starts_with("# HELP ");
      if (help || line.starts_with("# TYPE ")) {
        const auto [place, first] = places.try_emplace(named(line), families.size());
        if (first) families.emplace_back();
        family = &families[place->second];
        std::string& head = help ? family->help : family->type;
        if (head.empty()) head = line;
      } else if (family != nullptr && line.front() != '#' && line.front() != '\n') {
        family->samples += line;
      }
    }
  }
  std::string all;
  for (const Family& family : families) all += family.help + family.type + family.samples;
  return all;
}

}  // namespace cenote
