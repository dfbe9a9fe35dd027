// A node in this process with an SQLite database of its own, and pools on it as a client has them.
#pragma once

#include <functional>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "flight/remote_pool.h"
#include "node/node.h"
#include "temporary_folder.h"

namespace cenote::node {

inline constexpr const char* kEndless =
    "with recursive series(i) as (select 1 union all select i + 1 from series where i < "
    "100000000000) select count(*) from series";

// `rows` rows of i and a text.
inline std::string series(int64_t rows) {
  return "with recursive series(i) as (select 1 union all select i + 1 from series where i < " +
         std::to_string(rows) + ") select i, 'some text of a row' as t from series";
}

class ServingTest : public testing::Test {
 protected:
  DeploymentConfig config() const {
    DeploymentConfig config;
    PoolConfig pool;
    pool.id = "main_db";
    pool.type = "sqlite";
    pool.config["database"] = (directory_ / "test.db").string();
    pool.pool.max_connections = 1;
    pool.pool.max_readers = 2;
    pool.health.interval = Duration::zero();  // a check may count as an active call
    config.pools.push_back(std::move(pool));
    config.server.node_id = "n1";
    config.server.flight.listen = "127.0.0.1:0";
    return config;
  }

  void serve(DeploymentConfig config) {
    Result<std::unique_ptr<Node>> node = Node::start(std::move(config));
    ASSERT_TRUE(node.ok()) << node.status();
    node_ = std::move(*node);
    pool_ = connect();
    ASSERT_TRUE(pool_->execute("create table t (id integer primary key, name text)").ok());
    ASSERT_TRUE(pool_->execute("insert into t values (1, 'one'), (2, 'two')").ok());
  }
  void serve() { serve(config()); }

  std::unique_ptr<flight::RemotePool> connect(flight::ChannelOptions options = {},
                                              const std::string& pool = "main_db",
                                              flight::OnAnswer on_answer = {}) const {
    if (options.location.empty()) options.location = node_->location();
    Result<std::shared_ptr<flight::NodeChannel>> channel =
        flight::NodeChannel::open(std::move(options));
    EXPECT_TRUE(channel.ok()) << channel.status();
    return std::make_unique<flight::RemotePool>(*channel, pool, std::move(on_answer));
  }

  int active() const { return (*node_->manager().pool("main_db"))->get_status().active; }
  // Waits, bounded, for what another thread brings about.
  static bool eventually(const std::function<bool()>& condition) {
    const Deadline deadline = Deadline::in(std::chrono::seconds(30));
    std::binary_semaphore pause{0};
    while (!condition()) {
      if (deadline.passed()) return false;
      (void)pause.try_acquire_for(std::chrono::milliseconds(2));  // leaves the others the processor
    }
    return true;
  }
  // The one value of a result, as text.
  std::string value(const std::string& sql, const Params& params = {}) const {
    const auto table = pool_->execute_query(sql, params);
    if (!table.ok()) return table.status().ToString();
    return (*(*table)->column(0)->GetScalar(0))->ToString();
  }

  const TemporaryFolder directory_{"cenote-node"};
  std::unique_ptr<Node> node_;
  std::unique_ptr<flight::RemotePool> pool_;
};

}  // namespace cenote::node
