// A LocalPool over a database that fails on command.
#pragma once

#include <memory>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "pool/fake_database.h"
#include "pool/local_pool_parts.h"

namespace cenote {

inline const DriverTraits kFakeTraits{
    .name = "fake", .system_name = "fake", .library = "", .options = {}};
// With a lane of its own for reads.
inline const DriverTraits kFakeLanes{
    .name = "fake", .system_name = "fake", .library = "", .options = {}, .has_read_lane = true};

struct Fixture {
  std::shared_ptr<FakeServer> server = std::make_shared<FakeServer>();
  std::shared_ptr<LocalPool> pool;

  explicit Fixture(const PoolOptions& options = {}) : Fixture(config(options)) {}
  explicit Fixture(PoolConfig with) : pool(open(std::move(with), kFakeTraits)) {}

  static PoolConfig config(const PoolOptions& options) {
    PoolConfig config;
    config.id = "main_db";
    config.type = "fake";
    config.pool = options;
    config.health.interval = Duration::zero();
    return config;
  }
  std::shared_ptr<LocalPool> open(PoolConfig config, const DriverTraits& traits) const {
    auto database = std::make_shared<FakeDatabase>(server);
    return *open_local_pool(std::move(config), traits, database, [database] { return database; });
  }

  ConnectionPool& connections() const { return *LocalPoolAccess::parts(*pool).connection_pool; }
  // A round of upkeep, as if it were so much later.
  void keep_after(Duration passed) const { connections().keep(Clock::now() + passed, {}); }

  // Until the status satisfies `holds`: what it waits for is certain to come.
  template <typename Predicate>
  void until(Predicate holds) const {
    while (!holds(pool->get_status())) std::this_thread::yield();
  }
};

inline PoolOptions connections(int max) {
  PoolOptions options;
  options.max_connections = max;
  return options;
}

inline PoolOptions one_connection() {
  return connections(1);
}

inline QueryOptions within(Duration timeout) {
  QueryOptions options;
  options.timeout = timeout;
  return options;
}

inline QueryOptions tagged(std::string tag) {
  QueryOptions options;
  options.tag = std::move(tag);
  return options;
}

}  // namespace cenote
