// The tables and their expiry.
#include "node/sessions.h"

#include <algorithm>
#include <utility>

#include "node/crypto.h"

namespace cenote::node {
namespace {

constexpr std::chrono::seconds kSweep{1};

Status too_many(std::string_view what, size_t most) {
  return make_error(ErrorKind::kPoolExhausted,
                    "the node keeps " + std::to_string(most) + " " + std::string(what) +
                        " already, its limit; close some, or raise the limit in its "
                        "configuration");
}

}  // namespace

Sessions::Sessions(const FlightServerOptions& options, std::string node_id)
    : options_(options),
      node_id_(std::move(node_id)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

Sessions::~Sessions() {
  {
    const Lock lock(mutex_);
    thread_.request_stop();
  }
  wake_.notify_all();
  thread_.join();
  close_all();
}

void Sessions::run(const std::stop_token& stop) {
  for (;;) {
    {
      Lock lock(mutex_);
      if (stop.stop_requested()) return;
      wake_.wait_for(lock, kSweep);
      if (stop.stop_requested()) return;
    }
    expire(Clock::now());
  }
}

std::string Sessions::new_handle(char kind) const {
  return node_id_ + "/" + kind + "/" + random_id();
}

Status Sessions::unknown(std::string_view what, std::string_view handle) const {
  const std::string of(what);
  if (!handle.starts_with(node_id_ + "/")) {
    return make_error(ErrorKind::kInterface,
                      "this " + of +
                          " was made on another node (or before this one restarted) "
                          "and cannot be used on node '" +
                          node_id_ + "'");
  }
  return make_error(ErrorKind::kInterface, "there is no such " + of +
                                               ": it was closed, used already, or expired; make it "
                                               "again");
}

Status Sessions::touch(const Caller& caller) {
  const TimePoint now = Clock::now();
  const auto found = sessions_.find(caller.session);
  if (found != sessions_.end()) {
    found->second.last_use = now;
    return Status::OK();
  }
  const auto most = static_cast<size_t>(options_.max_sessions);
  if (sessions_.size() >= most) return too_many("sessions", most);
  sessions_[caller.session] = {caller.user, caller.session, "", now};
  return Status::OK();
}

template <typename T>
Result<std::string> Sessions::put(Table<T>& table, size_t most, char kind, std::string_view what,
                                  const Caller& caller, T thing) {
  ARROW_RETURN_NOT_OK(touch(caller));
  if (table.size() >= most) return too_many(what, most);
  std::string handle = new_handle(kind);
  table[handle] = {caller.user, caller.session, std::move(thing), Clock::now()};
  return handle;
}

template <typename T>
Sessions::Kept<T>* Sessions::find(Table<T>& table, const Caller& caller, std::string_view handle) {
  const auto found = table.find(handle);
  if (found == table.end() || found->second.user != caller.user) return nullptr;
  found->second.last_use = Clock::now();
  const auto session = sessions_.find(found->second.session);
  if (session != sessions_.end()) session->second.last_use = Clock::now();
  return &found->second;
}

std::string Sessions::pool_id(const Caller& caller) const {
  const Lock lock(mutex_);
  const auto found = sessions_.find(caller.session);
  return found == sessions_.end() ? "" : found->second.what;
}

Status Sessions::set_pool_id(const Caller& caller, std::string pool_id) {
  const Lock lock(mutex_);
  ARROW_RETURN_NOT_OK(touch(caller));
  sessions_[caller.session].what = std::move(pool_id);
  return Status::OK();
}

void Sessions::close(const Caller& caller) {
  std::vector<std::shared_ptr<HeldTransaction>> transactions;
  std::vector<std::shared_ptr<ResultReader>> results;
  {
    const Lock lock(mutex_);
    sessions_.erase(caller.session);
    const auto mine = [&](const auto& entry) {
      return entry.second.session == caller.session && entry.second.user == caller.user;
    };
    std::erase_if(prepared_, mine);
    for (const auto& entry : transactions_) {
      if (mine(entry)) transactions.push_back(entry.second.what);
    }
    std::erase_if(transactions_, mine);
    for (const auto& entry : results_) {
      if (mine(entry)) results.push_back(entry.second.what);
    }
    std::erase_if(results_, mine);
  }
  for (const auto& result : results) (void)result->Close();
  for (const auto& transaction : transactions) (void)transaction->end(false);
}

Result<std::string> Sessions::add(const Caller& caller, Prepared prepared) {
  prepared.user = caller.user;
  prepared.session = caller.session;
  const Lock lock(mutex_);
  return put(prepared_, static_cast<size_t>(options_.max_prepared), 'p', "prepared statements",
             caller, std::move(prepared));
}

Result<Prepared> Sessions::prepared(const Caller& caller, std::string_view handle) {
  const Lock lock(mutex_);
  Kept<Prepared>* found = find(prepared_, caller, handle);
  if (found == nullptr) return unknown("prepared statement", handle);
  Prepared& prepared = found->what;
  if (!prepared.transaction.empty() && !transactions_.contains(prepared.transaction)) {
    prepared.transaction = newest_transaction(caller);
  }
  return prepared;
}

std::string Sessions::newest_transaction(const Caller& caller) const {
  const std::string* newest = nullptr;
  TimePoint at = TimePoint::min();
  for (const auto& [handle, kept] : transactions_) {
    if (kept.session != caller.session || kept.user != caller.user || kept.last_use < at) continue;
    newest = &handle;
    at = kept.last_use;
  }
  return newest == nullptr ? "" : *newest;
}

Status Sessions::bind(const Caller& caller, std::string_view handle, Params params) {
  const Lock lock(mutex_);
  Kept<Prepared>* found = find(prepared_, caller, handle);
  if (found == nullptr) return unknown("prepared statement", handle);
  found->what.params = std::move(params);
  return Status::OK();
}

void Sessions::remove_prepared(const Caller& caller, std::string_view handle) {
  const Lock lock(mutex_);
  if (find(prepared_, caller, handle) != nullptr) prepared_.erase(prepared_.find(handle));
}

Result<std::string> Sessions::add(const Caller& caller,
                                  std::shared_ptr<HeldTransaction> transaction) {
  const Lock lock(mutex_);
  return put(transactions_, static_cast<size_t>(options_.max_transactions), 't', "transactions",
             caller, std::move(transaction));
}

Result<std::shared_ptr<HeldTransaction>> Sessions::transaction(const Caller& caller,
                                                               std::string_view handle) {
  const Lock lock(mutex_);
  Kept<std::shared_ptr<HeldTransaction>>* found = find(transactions_, caller, handle);
  if (found == nullptr) return unknown("transaction", handle);
  return found->what;
}

std::shared_ptr<HeldTransaction> Sessions::take_transaction(const Caller& caller,
                                                            std::string_view handle) {
  const Lock lock(mutex_);
  if (find(transactions_, caller, handle) == nullptr) return nullptr;
  const auto found = transactions_.find(handle);
  std::shared_ptr<HeldTransaction> taken = std::move(found->second.what);
  transactions_.erase(found);
  return taken;
}

Result<std::string> Sessions::add(const Caller& caller, std::shared_ptr<ResultReader> result) {
  const Lock lock(mutex_);
  return put(results_, static_cast<size_t>(options_.max_results), 'r', "unfetched results", caller,
             std::move(result));
}

Result<std::shared_ptr<ResultReader>> Sessions::take_result(const Caller& caller,
                                                            std::string_view handle) {
  const Lock lock(mutex_);
  if (find(results_, caller, handle) == nullptr) return unknown("result", handle);
  const auto found = results_.find(handle);
  std::shared_ptr<ResultReader> taken = std::move(found->second.what);
  results_.erase(found);
  return taken;
}

void Sessions::watch(const std::shared_ptr<ResultReader>& reader) {
  const Lock lock(mutex_);
  streams_.push_back(reader);
}

SessionCounts Sessions::counts() const {
  const Lock lock(mutex_);
  return {sessions_.size(), prepared_.size(), transactions_.size(), results_.size()};
}

bool Sessions::has_unfinished() const {
  const Lock lock(mutex_);
  if (!results_.empty()) return true;
  return std::any_of(transactions_.begin(), transactions_.end(),
                     [](const auto& entry) { return entry.second.what->holds_connection(); });
}

void Sessions::close_all() {
  Table<std::shared_ptr<HeldTransaction>> transactions;
  Table<std::shared_ptr<ResultReader>> results;
  {
    const Lock lock(mutex_);
    sessions_.clear();
    prepared_.clear();
    transactions.swap(transactions_);
    results.swap(results_);
  }
  for (const auto& [handle, kept] : results) (void)kept.what->Close();
  for (const auto& [handle, kept] : transactions) (void)kept.what->end(false);
}

void Sessions::expire(TimePoint now) {
  std::vector<std::shared_ptr<HeldTransaction>> transactions;
  std::vector<std::shared_ptr<ResultReader>> results;
  std::vector<std::shared_ptr<ResultReader>> streams;
  {
    const Lock lock(mutex_);
    const auto session_over = [&](const auto& entry) {
      return entry.second.last_use < now - options_.session_idle;
    };
    std::erase_if(prepared_, session_over);
    for (const auto& [handle, kept] : transactions_) transactions.push_back(kept.what);
    std::erase_if(transactions_, session_over);
    std::erase_if(sessions_, session_over);
    std::erase_if(results_, [&](const auto& entry) {
      const bool over = entry.second.last_use < now - options_.result_idle;
      if (over) results.push_back(entry.second.what);
      return over;
    });
    std::erase_if(streams_, [&](const auto& weak) {
      const auto stream = weak.lock();
      if (stream != nullptr) streams.push_back(stream);
      return stream == nullptr;
    });
  }
  for (const auto& result : results) (void)result->Close();
  for (const auto& stream : streams) (void)stream->expire(now - options_.stream_idle);
  for (const auto& transaction : transactions) {
    (void)transaction->expire(now - options_.transaction_idle);
  }
}

}  // namespace cenote::node
