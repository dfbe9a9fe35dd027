// Any URL makes a pool's configuration or an error, and no error tells the password.
#include <string>

#include <fuzzer/FuzzedDataProvider.h>

#include "cenote/config.h"

#include "fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cenote;
  FuzzedDataProvider input(data, size);
  const int scheme = input.ConsumeIntegralInRange(0, 3);
  if (scheme == 0) {
    const std::string url = input.ConsumeRemainingBytesAsString();
    const Result<PoolConfig> pool = pool_from_url(url, "p");
    if (pool.ok()) check(pool->id == "p" && !pool->type.empty(), "a pool has its id and type");
    return 0;
  }
  constexpr const char* kSchemes[] = {"", "postgresql", "postgres", "sqlserver"};
  const std::string secret = "HUNTER2secret";
  // The password may hold what would have to be encoded.
  const std::string before = input.ConsumeRandomLengthString(8);
  const std::string after = input.ConsumeRandomLengthString(8);
  const std::string rest = input.ConsumeRemainingBytesAsString();
  const std::string url =
      std::string(kSchemes[scheme]) + "://user:" + before + secret + after + "@" + rest;
  const Result<PoolConfig> pool = pool_from_url(url, "p");
  // The fuzzer finds the word by its comparisons: a host or database of that name may be told.
  if (!pool.ok() && rest.find(secret) == std::string::npos) {
    check(pool.status().ToString().find(secret) == std::string::npos, "no secret in a message");
  }
  return 0;
}
