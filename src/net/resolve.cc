// One thread for each name that is being looked up.
#include "net/resolve.h"

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/fork.h"
#include "base/mutex.h"

namespace cenote {
namespace {

// Names whose look-up takes its time, or hangs.
constexpr size_t kMostLookUps = 32;

std::string number_of(const addrinfo& entry) {
  char text[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE] = {};
  const int failed =
      ::getnameinfo(entry.ai_addr, entry.ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  return failed == 0 ? text : "";
}

std::vector<std::string> look_up(const std::string& host, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  std::vector<std::string> numbers;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    std::string number = number_of(*each);
    if (!number.empty()) numbers.push_back(std::move(number));
  }
  return numbers;
}

struct LookUp {
  Mutex mutex;  // guards the rest
  std::condition_variable_any done;
  std::optional<std::vector<std::string>> numbers CENOTE_GUARDED_BY(mutex);
};

// Those under way in this process. Never destroyed, since a thread may outlive main().
struct LookUps {
  const uint64_t born = fork_generation();
  Mutex mutex;  // guards the map
  std::map<std::string, std::shared_ptr<LookUp>, std::less<>> by_host CENOTE_GUARDED_BY(mutex);
};

LookUps& look_ups() {
  static std::atomic<LookUps*> mine{new LookUps};
  LookUps* known = mine.load();
  // A forked child has none of its parent's threads, and maybe a locked mutex.
  while (known->born != fork_generation()) {
    auto fresh = std::make_unique<LookUps>();
    if (mine.compare_exchange_strong(known, fresh.get())) return *fresh.release();
  }
  return *known;
}

// The look-up of that name, begun if there is none; null: there are too many, or no threads.
std::shared_ptr<LookUp> begin(const std::string& host) {
  LookUps& all = look_ups();
  const Lock lock(all.mutex);
  const auto under_way = all.by_host.find(host);
  if (under_way != all.by_host.end()) return under_way->second;
  if (all.by_host.size() >= kMostLookUps) return nullptr;
  auto made = std::make_shared<LookUp>();
  try {
    std::thread([made, host, &all] {
      std::vector<std::string> numbers;
      try {
        numbers = look_up(host, 0);
      } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): then it has none
      }
      {
        const Lock ended(all.mutex);
        all.by_host.erase(host);
      }
      const Lock told(made->mutex);
      made->numbers = std::move(numbers);
      made->done.notify_all();
    }).detach();
  } catch (const std::system_error&) {
    return nullptr;
  }
  all.by_host.emplace(host, made);
  return made;
}

Status gave_up(ErrorKind kind, const std::string& message) {
  ErrorDetail detail;
  detail.kind = kind;
  detail.sent = Sent::kNo;
  return make_error(std::move(detail), message);
}

}  // namespace

Result<std::vector<std::string>> resolve(const std::string& host, const CallContext& context) {
  std::vector<std::string> number = look_up(host, AI_NUMERICHOST);
  if (!number.empty()) return number;
  const std::shared_ptr<LookUp> found = begin(host);
  if (found == nullptr) {
    return gave_up(ErrorKind::kConnection,
                   "'" + host + "' was not looked up: " + std::to_string(kMostLookUps) +
                       " other names still are; is the resolver (/etc/resolv.conf) well?");
  }
  const std::stop_callback wake(context.stop, [&] {
    const Lock lock(found->mutex);
    found->done.notify_all();
  });
  Lock lock(found->mutex);
  while (!found->numbers && !context.stop.stop_requested() && !context.deadline.passed()) {
    found->done.wait_until(lock, context.deadline.at());
  }
  if (found->numbers) return *found->numbers;
  if (context.stop.stop_requested()) return gave_up(ErrorKind::kCancelled, "cancelled");
  return gave_up(ErrorKind::kQueryTimeout,
                 "the resolver did not tell in time what '" + host + "' means");
}

}  // namespace cenote
