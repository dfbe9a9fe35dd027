// Standing by, being elected, leading, and back.
#include "coordinator/elected.h"

#include <utility>

#include "base/keep_running.h"
#include "base/log.h"
#include "base/pause.h"
#include "net/listen_address.h"

namespace cenote::coordinator {
namespace {

// Others follow a tenth of a second after a lease of 3 s has ended.
constexpr Duration kCampaign = std::chrono::milliseconds(100);
// Two may fail before the leader gives up.
constexpr Duration kRenew = std::chrono::milliseconds(500);
constexpr Duration kCall = std::chrono::seconds(1);
constexpr Duration kRestore = std::chrono::seconds(10);

Result<std::unique_ptr<SharedStore>> open_store(const CoordinatorServerOptions& options,
                                                const std::string& url) {
  SharedStoreOptions shared;
  shared.store = store::store_options(options.store, "coordinator.store");
  shared.cluster = options.cluster;
  shared.url = url;
  if (options.store.type == "etcd") return open_etcd_store(shared);
  if (options.store.type == "consul") return open_consul_store(shared);
  return make_error(ErrorKind::kConfig, "coordinator.store.type '" + options.store.type +
                                            "' is neither consul nor etcd");
}

Result<std::string> own_url(const CoordinatorServerOptions& options) {
  ARROW_RETURN_NOT_OK(parse_listen_address(options.listen).status());
  if (options.listen.ends_with(":0")) {
    return make_error(ErrorKind::kConfig,
                      "coordinator.listen needs a port of its own, as 8080: it is told to the "
                      "others and must be the same all the time");
  }
  std::string url = options.advertise;
  while (url.ends_with('/')) url.pop_back();
  if (!url.empty()) return url;
  if (options.listen.starts_with("0.0.0.0:") || options.listen.starts_with("[::]:")) {
    return make_error(ErrorKind::kConfig,
                      "coordinator.advertise is missing: others must know under which URL they "
                      "reach this one, as https://coordinator1:8080");
  }
  return (options.tls.certificate.empty() ? "http://" : "https://") + options.listen;
}

}  // namespace

ElectedCoordinator::ElectedCoordinator(CoordinatorServerOptions options, std::string url,
                                       std::unique_ptr<SharedStore> store)
    : url_(std::move(url)), store_(std::move(store)), options_(std::move(options)) {}

Result<std::unique_ptr<ElectedCoordinator>> ElectedCoordinator::start(
    CoordinatorServerOptions options) {
  ARROW_ASSIGN_OR_RAISE(std::string url, own_url(options));
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<SharedStore> store, open_store(options, url));
  std::unique_ptr<ElectedCoordinator> made(
      new ElectedCoordinator(std::move(options), std::move(url), std::move(store)));
  ARROW_RETURN_NOT_OK(made->stand_by());
  made->thread_ = std::jthread([raw = made.get()](const std::stop_token& stop) { raw->run(stop); });
  return made;
}

ElectedCoordinator::~ElectedCoordinator() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

CoordinatorServerOptions ElectedCoordinator::options() const {
  const Lock lock(mutex_);
  return options_;
}

Status ElectedCoordinator::reload(const CoordinatorServerOptions& options) {
  const Lock lock(mutex_);
  CoordinatorServerOptions next = options_;
  next.tokens = options.tokens;
  next.tls = options.tls;
  if (leading_ != nullptr) ARROW_RETURN_NOT_OK(leading_->reload(next));
  if (standby_ != nullptr) ARROW_RETURN_NOT_OK(standby_->reload(next));
  options_ = std::move(next);
  return Status::OK();
}

Status ElectedCoordinator::stand_by() {
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<Standby> standby, Standby::start(options(), *store_));
  const Lock lock(mutex_);
  standby_ = std::move(standby);
  return Status::OK();
}

void ElectedCoordinator::run(const std::stop_token& stop) noexcept {
  keep_running(stop, "coordinator", "the election", [&] { elect(stop); });
  std::unique_ptr<Standby> ended;
  {
    const Lock lock(mutex_);
    ended = std::move(standby_);
  }
  ended.reset();
  store_->resign();
}

void ElectedCoordinator::elect(const std::stop_token& stop) {
  Status last;
  bool stands_by = false;
  std::unique_ptr<CoordinatorServer> left;  // by an exception
  {
    const Lock lock(mutex_);
    left = std::move(leading_);
    stands_by = standby_ != nullptr;
  }
  if (left != nullptr) {
    left.reset();
    store_->resign();
  }
  while (!stop.stop_requested()) {
    Status status = stands_by ? Status::OK() : stand_by();
    stands_by = status.ok();
    if (stands_by) {
      const Result<bool> won = store_->campaign({Deadline::in(kCall), stop});
      if (won.ok() && *won) {
        lead(stop);
        stands_by = false;
        last = Status::OK();
        continue;
      }
      status = won.status();
    }
    if (!status.ok() && last.ok() && !stop.stop_requested()) {
      log(LogLevel::kWarning, "coordinator",
          "stands by and cannot be elected: " + status.message() + "; trying again");
    }
    last = std::move(status);
    pause(stop, kCampaign);
  }
}

Status ElectedCoordinator::take_over(std::stop_token over) {
  ARROW_ASSIGN_OR_RAISE(Setup setup, set_up(options()));
  // The slow part first: a standby answers meanwhile.
  ARROW_ASSIGN_OR_RAISE(auto coordinator, open_coordinator(setup, borrowed(*store_, over),
                                                           {Deadline::in(kRestore), over}));
  std::unique_ptr<Standby> standby;
  {
    const Lock lock(mutex_);
    standby = std::move(standby_);
  }
  standby.reset();
  const Gate gate = [this](const HttpRequest& http) -> std::optional<HttpResponse> {
    if (store_->leads()) return std::nullopt;
    return sent_on(store_->leader(), http);
  };
  ARROW_ASSIGN_OR_RAISE(auto leading,
                        CoordinatorServer::start(std::move(setup), std::move(coordinator), gate));
  const Lock lock(mutex_);
  leading_ = std::move(leading);
  return Status::OK();
}

void ElectedCoordinator::keep_renewing(const std::stop_token& stop) {
  Status last;
  while (!stop.stop_requested() && store_->leads()) {
    last = store_->renew({Deadline::in(kRenew), stop});
    if (!last.ok() && error_kind(last) == ErrorKind::kReadOnly) break;
    if (last.ok()) pause(stop, kRenew);
  }
  if (stop.stop_requested()) return;
  log(LogLevel::kWarning, "coordinator",
      "leads no more: " + (last.ok() ? "it stood still for too long" : last.message()));
}

void ElectedCoordinator::lead(const std::stop_token& stop) {
  std::stop_source over;  // ends the store's calls of this term
  const std::stop_callback ended(stop, [&] { over.request_stop(); });
  // On a thread of its own, so that a slow store's restoring costs no right.
  std::jthread renewing([&](const std::stop_token& left) {
    const std::stop_callback by_exception(left, [&] { over.request_stop(); });
    keep_running(over.get_token(), "coordinator", "renewing the right to lead",
                 [&] { keep_renewing(over.get_token()); });
    over.request_stop();
  });
  const Status started = take_over(over.get_token());
  if (started.ok()) {
    log(LogLevel::kInfo, "coordinator", "leads since term " + std::to_string(store_->term()));
  } else if (!over.stop_requested()) {
    log(LogLevel::kError, "coordinator", "was elected and cannot lead: " + started.message());
    over.request_stop();
  }
  renewing.join();
  std::unique_ptr<CoordinatorServer> leading;
  {
    const Lock lock(mutex_);
    leading = std::move(leading_);
  }
  leading.reset();
  store_->resign();
  if (!started.ok()) pause(stop, kCampaign);
}

}  // namespace cenote::coordinator
