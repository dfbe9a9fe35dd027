// All chance of a simulation: one seed, one stream. The algorithm is our own (SplitMix64), since
// the standard leaves its distributions to each library.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cenote/deadline.h"

namespace cenote::simulation {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t bits() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // 0 to 1, without 1.
  double unit() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }
  bool chance(double share) { return unit() < share; }
  // 0 to n - 1.
  size_t below(size_t n) { return static_cast<size_t>(bits() % n); }
  size_t between(size_t least, size_t most) { return least + below(most - least + 1); }
  Duration between(Duration least, Duration most) {
    const auto span = static_cast<double>((most - least).count());
    return least + Duration(static_cast<int64_t>(span * unit()));
  }

 private:
  uint64_t state_;
};

}  // namespace cenote::simulation
