// A look, and a question to each that is silent.
#include "manager/silence_watch.h"

#include "base/keep_running.h"
#include "base/pause.h"
#include "base/side_by_side.h"

namespace cenote {
namespace {

constexpr Duration kAnswerWithin = std::chrono::milliseconds(500);
constexpr size_t kMostAtOnce = 16;  // threads; who is left out is asked with the next look

// Whatever the node itself says is one, a refusal too.
bool is_sign_of_life(const Status& status, const std::string& location) {
  if (status.ok()) return true;
  const ErrorKind kind = error_kind(status);
  if (kind != ErrorKind::kConnection && kind != ErrorKind::kQueryTimeout) return true;
  const ErrorDetail* detail = error_detail(status);
  return detail != nullptr && detail->endpoint != location;
}

bool lives(flight::NodeChannel& channel) {
  flight::Call call;
  call.operation = flight::Operation::kSight;  // no pool has a part in it
  QueryOptions options;
  // Alone ends it: a stop would be told to the node, and nothing is to be waited for there.
  options.timeout = kAnswerWithin;
  return is_sign_of_life(channel.ask(std::move(call), options).status(), channel.location());
}

}  // namespace

SilenceWatch::SilenceWatch(NodeLinks& links)
    : links_(links), thread_([this](const std::stop_token& stop) {
        keep_running(stop, "manager", "watching for silent nodes", [&] { run(stop); });
      }) {}

void SilenceWatch::run(const std::stop_token& stop) {
  while (pause(stop, Gate::kSilent)) {
    const std::vector<NodeLinks::Silent> silent = links_.silent(Clock::now(), kMostAtOnce);
    side_by_side(silent.size(), [&](size_t i) {
      const bool alive = lives(*silent[i].channel);
      if (!stop.stop_requested()) links_.asked(silent[i], alive);
    });
  }
}

}  // namespace cenote
