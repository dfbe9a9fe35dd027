// simulate [--seeds N] [--first N] [--seed S] [--trace] [--bug NAME]: runs worlds and prints each
// seed that breaks an invariant with the command that shows it again.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "simulation/scenario.h"

namespace {

using namespace cenote::simulation;

// From this many seeds on everything rare must have been seen.
constexpr uint64_t kEnough = 2'000;
constexpr int kMostFailures = 10;

struct Arguments {
  uint64_t first = 1;
  uint64_t seeds = 5'000;
  bool trace = false;
  Bug bug = Bug::kNone;
};

int usage() {
  std::fputs(
      "usage: simulate [--seeds N] [--first N] [--seed S] [--trace] [--bug NAME]\n"
      "bugs to plant:",
      stderr);
  for (const std::string_view name : kBugNames)
    std::fprintf(stderr, " %s", std::string(name).c_str());
  std::fputs("\n", stderr);
  return 2;
}

bool parse(int count, char** values, Arguments* arguments) {
  for (int i = 1; i < count; ++i) {
    const std::string_view option = values[i];
    if (option == "--trace") {
      arguments->trace = true;
      continue;
    }
    if (++i == count) return false;
    char* end = nullptr;
    const uint64_t number = std::strtoull(values[i], &end, 10);
    const bool is_number = end != values[i] && *end == '\0';
    if (option == "--bug") {
      const auto bug = bug_named(values[i]);
      if (!bug) return false;
      arguments->bug = *bug;
    } else if (!is_number) {
      return false;
    } else if (option == "--seeds") {
      arguments->seeds = number;
    } else if (option == "--first") {
      arguments->first = number;
    } else if (option == "--seed") {
      arguments->first = number;
      arguments->seeds = 1;
    } else {
      return false;
    }
  }
  return true;
}

void print_counts(const Checks::Counts& counts, const Checks::Counts& worlds) {
  for (size_t i = 0; i < counts.size(); ++i) {
    std::printf("  %-28s %10llu times in %llu worlds\n", std::string(kSometimesNames.at(i)).c_str(),
                static_cast<unsigned long long>(counts.at(i)),
                static_cast<unsigned long long>(worlds.at(i)));
  }
}

}  // namespace

int main(int count, char** values) {
  Arguments arguments;
  if (!parse(count, values, &arguments)) return usage();
  cenote::set_log_sink([](cenote::LogLevel, std::string_view, std::string_view) {});
  Checks::Counts counts{};
  Checks::Counts worlds{};
  uint64_t events = 0;
  int failures = 0;
  for (uint64_t seed = arguments.first; seed < arguments.first + arguments.seeds; ++seed) {
    const Outcome outcome = simulate(seed, arguments.bug, arguments.trace);
    std::fputs(outcome.history.c_str(), stdout);
    events += outcome.events;
    for (size_t i = 0; i < counts.size(); ++i) {
      counts.at(i) += outcome.counts.at(i);
      worlds.at(i) += outcome.counts.at(i) != 0 ? 1 : 0;
    }
    if (outcome.failure.empty()) continue;
    const auto number = static_cast<unsigned long long>(seed);
    const std::string bug =
        arguments.bug == Bug::kNone ? "" : " --bug " + std::string(to_string(arguments.bug));
    std::printf("seed %llu (%s) failed: %s\n  see it again: %s --seed %llu%s --trace\n", number,
                outcome.scenario.c_str(), outcome.failure.c_str(), values[0], number, bug.c_str());
    if (++failures == kMostFailures) break;
  }
  std::printf("%llu seeds from %llu on, %llu events, %d failed\n",
              static_cast<unsigned long long>(arguments.seeds),
              static_cast<unsigned long long>(arguments.first),
              static_cast<unsigned long long>(events), failures);
  if (arguments.seeds > 1) print_counts(counts, worlds);
  if (failures != 0) return 1;
  if (arguments.seeds < kEnough || arguments.bug != Bug::kNone) return 0;
  int unseen = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts.at(i) != 0) continue;
    ++unseen;
    std::printf("never happened, so nothing was proved of it: %s\n",
                std::string(kSometimesNames.at(i)).c_str());
  }
  return unseen == 0 ? 0 : 1;
}
