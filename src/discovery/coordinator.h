// Discovery by a coordinator (ADR-002's coordinated mode): a list and a stream of changes for
// watchers, a lease with heartbeats for members.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "discovery/metrics_sink.h"
#include "discovery/service_discovery.h"
#include "net/http_client.h"

namespace cenote::discovery {

struct CoordinatorOptions {
  std::vector<std::string> endpoints;  // "http://coordinator:8080"; tried in turn
  std::string token;
  TlsClientOptions tls;
  Duration call_timeout = std::chrono::seconds(1);  // of every call but the stream
  Duration silence = std::chrono::seconds(12);      // of the stream; a bookmark comes every 5 s
  Duration metrics_interval = std::chrono::seconds(10);
};

Result<std::unique_ptr<ServiceDiscovery>> coordinator_discovery(CoordinatorOptions options);
// For a process that is no node: nodes report with their heartbeats.
Result<std::unique_ptr<MetricsSink>> coordinator_metrics(CoordinatorOptions options);

}  // namespace cenote::discovery
