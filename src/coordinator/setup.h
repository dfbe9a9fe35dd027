// From the options to the parts that a coordinator is made of, checked.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cenote/server.h"

#include "coordinator/api.h"
#include "coordinator/pool_coordinator.h"
#include "net/http_server.h"

namespace cenote::coordinator {

struct Setup {
  HttpServerOptions http;
  Api::Options rules;
  std::vector<TokenRecord> tokens;  // those of the configuration; operators make more
  PoolCoordinator::Options core;
};
// kConfig for what the configuration has wrong: among others an address that other machines reach,
// without both TLS and tokens.
Result<Setup> set_up(const CoordinatorServerOptions& options);
// With what the store has.
Result<std::unique_ptr<PoolCoordinator>> open_coordinator(const Setup& setup,
                                                          std::unique_ptr<Store> store,
                                                          const CallContext& context);

}  // namespace cenote::coordinator
