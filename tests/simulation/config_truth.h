// What the store's history says of the configuration, seen from outside: a version once written
// stays, versions follow one another without a gap or a fork, and no change is made twice.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "simulation/kv_store.h"
#include "simulation/world.h"

namespace cenote::simulation {

class ConfigTruth {
 public:
  ConfigTruth(World& world, const KvStore& store) : world_(world), store_(store) {}

  // A version is being written. `change`: names the operator's change that it is of; empty: none.
  void written(uint64_t version, const std::string& content, const std::string& change);
  // An operator was told that this is the version now.
  void acknowledged(uint64_t version, const std::string& content);
  // A process was given it.
  void handed_out(uint64_t version, const std::string& content);
  // Of a change that may have been given up; 0: it is not there.
  uint64_t version_of(const std::string& change);
  uint64_t newest();
  const std::string* content(uint64_t version);

  // How long an operator waits before the next change; none: there is to be none. Who finds the
  // store wiped writes again until there are as many versions as before, and often leaves it at
  // that: nodes then know the newest number, of another content.
  std::optional<Duration> pause(bool rewrites);
  bool is_left() const { return left_; }

 private:
  // A wiped store begins anew; what it had promised is lost with it.
  void follow_wipes();

  World& world_;
  const KvStore& store_;
  uint64_t wipes_ = 0;
  uint64_t before_ = 0;  // as many there were before the store was wiped
  bool left_ = false;
  std::map<uint64_t, std::string> versions_;
  std::map<std::string, uint64_t> changes_;
};

}  // namespace cenote::simulation
