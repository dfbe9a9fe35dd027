// The way to the coordinator, from the configuration.
#pragma once

#include "cenote/deployment.h"

#include "discovery/coordinator.h"

namespace cenote {

inline discovery::CoordinatorOptions coordinator_options(const CoordinatorAccess& access) {
  discovery::CoordinatorOptions options;
  options.endpoints = access.endpoints;
  options.token = access.token;
  options.tls = {access.tls.ca, access.tls.certificate, access.tls.key};
  return options;
}

}  // namespace cenote
