// Opening, using and giving up the health checker's session.
#include "pool/probe_session.h"

#include <utility>

namespace cenote {

std::optional<Result<Probe>> ProbeSession::probe(const CallContext& context, const Connect& connect,
                                                 Handoff::Work* work) {
  std::unique_ptr<Connection> connection;
  {
    const Lock lock(mutex_);
    if (!slot_) slot_ = handoff_.reserve_spare();
    if (!slot_) return std::nullopt;
    in_use_ = true;
    connection = std::move(connection_);
  }
  Result<Probe> probe = Probe{};
  CallContext limit = context;
  if (connection == nullptr) {
    Result<std::unique_ptr<Connection>> made = connect(limit);
    if (made.ok()) {
      connection = std::move(*made);
    } else {
      probe = made.status();
    }
  }
  if (connection != nullptr) {
    probe = connection->probe(limit);
    if (!probe.ok() || !connection->usable()) connection.reset();
  }
  uint32_t slot = 0;
  {
    const Lock lock(mutex_);
    in_use_ = false;
    if (connection != nullptr && !wanted_back_) {
      connection_ = std::move(connection);
      return probe;
    }
    wanted_back_ = false;
    slot = *std::exchange(slot_, std::nullopt);
  }
  connection.reset();  // before its place is free
  *work = handoff_.vacate(slot);
  return probe;
}

Handoff::Work ProbeSession::yield() {
  std::unique_ptr<Connection> connection;
  uint32_t slot = 0;
  {
    const Lock lock(mutex_);
    if (!slot_) return {};
    wanted_back_ = in_use_;
    if (in_use_) return {};
    connection = std::move(connection_);
    slot = *std::exchange(slot_, std::nullopt);
  }
  connection.reset();
  return handoff_.vacate(slot);
}

void ProbeSession::leave_to_parent() noexcept {
  if (connection_ != nullptr) connection_.release()->leave_to_parent();
}

}  // namespace cenote
