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

// kConfig for what the configuration has wrong: among others an address that other machines reach,
// without both TLS and tokens.
Result<HttpServerOptions> http_options(const CoordinatorServerOptions& options);
Result<Api::Options> api_options(const CoordinatorServerOptions& options);
// Those of the configuration; operators make more.
Result<std::vector<TokenRecord>> token_records(const CoordinatorServerOptions& options);
// With what the store has.
Result<std::unique_ptr<PoolCoordinator>> open_coordinator(const CoordinatorServerOptions& options,
                                                          std::unique_ptr<Store> store,
                                                          const CallContext& context);

}  // namespace cenote::coordinator
