// The first five minutes in C++: a pool, a query, a frame. `example` or `example shop.db`.
#include <iostream>

#include <arrow/table.h>

#include <cenote/log.h>
#include <cenote/manager.h>

arrow::Status run(const char* database) {
  ARROW_ASSIGN_OR_RAISE(auto manager, cenote::DistributedPoolManager::open({}));
  ARROW_ASSIGN_OR_RAISE(auto config, cenote::pool_from_url(database, "main_db"));
  ARROW_ASSIGN_OR_RAISE(auto pool, manager->create_pool(std::move(config)));
  ARROW_ASSIGN_OR_RAISE(auto table,
                        pool->execute_query("select ? as greeting, 6 * ? as answer",
                                            cenote::Params::of("hello from a pool", 7)));
  std::cout << table->ToString() << "\n";
  const cenote::PoolStatus status = pool->get_status();
  std::cout << status.id << " at " << status.endpoint << ": " << status.idle << " idle of "
            << status.max << "\n";
  return manager->drain(cenote::Deadline::in(std::chrono::seconds(5)));
}

int main(int argc, char** argv) {
  // A service puts its own logger here.
  cenote::set_log_sink([](cenote::LogLevel, std::string_view part, std::string_view message) {
    std::cerr << part << ": " << message << "\n";
  });
  const arrow::Status status = run(argc > 1 ? argv[1] : "sqlite::memory:");
  if (!status.ok()) std::cerr << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
