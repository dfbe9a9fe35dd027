// What a member was given and made of it. It tells versions by their numbers; which content they
// had, only who handed them on knows.
#pragma once

#include "cluster/config_id.h"

namespace cenote::discovery {

class HandedOn {
 public:
  void note(const cluster::ConfigId& version, bool taken) { (taken ? taken_ : refused_) = version; }

  // Adds the hashes to what tells the numbers, an Entry or a Heartbeat.
  template <typename Told>
  void name(Told* told) const {
    if (told->config_version == taken_.version) told->config_hash = taken_.hash;
    if (told->config_rejected == refused_.version) told->config_rejected_hash = refused_.hash;
  }

 private:
  cluster::ConfigId taken_;
  cluster::ConfigId refused_;
};

}  // namespace cenote::discovery
