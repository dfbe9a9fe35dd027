// The way to the coordinator, from the configuration.
#pragma once

#include "cenote/deployment.h"

#include "discovery/coordinator.h"

namespace cenote {

inline discovery::CoordinatorOptions coordinator_options(const CoordinatorAccess& access,
                                                         const MetricsOptions& metrics) {
  discovery::CoordinatorOptions options;
  options.endpoints = access.endpoints;
  options.token = access.token;
  options.tls = {access.tls.ca, access.tls.certificate, access.tls.key};
  options.metrics_interval = metrics.export_interval;
  return options;
}

}  // namespace cenote
