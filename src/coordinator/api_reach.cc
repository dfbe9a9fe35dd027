// Where nodes may say that they are, and whether one is really gone from there.
#include <algorithm>
#include <array>
#include <utility>

#include "coordinator/api.h"

namespace cenote::coordinator {
namespace {

constexpr Duration kProbe = std::chrono::milliseconds(500);
constexpr Duration kLookUp = std::chrono::seconds(1);  // of a name
// Whoever may report cannot make the coordinator knock more often than so, at one node or at all.
constexpr Duration kProbeInterval = std::chrono::seconds(1);
constexpr size_t kMostProbes = 16;

constexpr std::array<std::string_view, 2> kFlight = {"grpc", "grpc+tls"};
constexpr std::array<std::string_view, 2> kAdmin = {"http", "https"};

Status may_be(const Reach& reach, const char* key, std::string_view location,
              std::span<const std::string_view> schemes) {
  const auto allowed = [&]() -> Status {
    ARROW_ASSIGN_OR_RAISE(const Place place, parse_place(location, schemes));
    const Status found = reach.addresses(place, {Deadline::in(kLookUp), {}}).status();
    // As a name that nobody knows: whoever connects there judges it again.
    return error_kind(found) == ErrorKind::kQueryTimeout ? Status::OK() : found;
  };
  Status status = allowed();
  if (status.ok()) return status;
  return refuse(Refusal::kInvalid, "/" + std::string(key) + ": " + status.message() +
                                       "; have the node advertise where clients reach it "
                                       "(deployment.node.advertise), or see "
                                       "coordinator.node_networks");
}

// A report is a reason to look, never a proof: else any client could evict any node.
Result<HttpResponse> refused(Api& api, const Call& call) {
  const std::string& id = call.param("id");
  ARROW_ASSIGN_OR_RAISE(const std::string location, api.coordinator().location_of(id));
  bool dead = false;
  if (api.may_probe(id)) {
    dead = api.is_refused(location);
    if (dead) ARROW_RETURN_NOT_OK(api.coordinator().refused(id, location));
  }
  return api.reply(Json{{"node_id", id}, {"refused", dead}});
}

constexpr ApiRow kRows[] = {
    {"POST", "/v1/nodes/{id}/refused", kNodes | kClients | kOperators, refused, ApiRow::kNone, 0,
     HttpLane::kWait},
};

}  // namespace

std::span<const ApiRow> reach_rows() {
  return kRows;
}

Status Api::may_advertise(const cluster::Registration& about) const {
  ARROW_RETURN_NOT_OK(may_be(options_.reach, "location", about.location, kFlight));
  if (about.admin.empty()) return Status::OK();
  return may_be(options_.reach, "admin", about.admin, kAdmin);
}

bool Api::may_probe(const std::string& node_id) {
  const Lock lock(mutex_);
  const TimePoint now = Clock::now();
  std::erase_if(probed_, [&](const auto& each) { return each.second + kProbeInterval <= now; });
  if (probed_.size() >= kMostProbes) return false;
  return probed_.emplace(node_id, now).second;
}

bool Api::is_refused(const std::string& location) const {
  const Result<Place> place = parse_place(location, kFlight);
  if (!place.ok()) return false;
  const Deadline deadline = Deadline::in(kProbe);
  const auto addresses = options_.reach.addresses(*place, {deadline, {}});
  return addresses.ok() && !addresses->empty() &&
         std::all_of(addresses->begin(), addresses->end(), [&](const std::string& address) {
           return cenote::is_refused(address, place->port, deadline);
         });
}

}  // namespace cenote::coordinator
