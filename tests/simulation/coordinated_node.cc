// Registering, beating, taking configurations.
#include "simulation/coordinated_node.h"

#include <utility>

#include "base/sha256.h"

namespace cenote::simulation {
namespace {

using coordinator::PoolCoordinator;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kCall = seconds(1);
constexpr int kFailures = 3;

Status not_leading() {
  return make_error(ErrorKind::kNotSupported, "another coordinator leads");
}

}  // namespace

CoordinatedNode::CoordinatedNode(World& world, std::vector<CoordinatorActor*> coordinators,
                                 KvStore& store, ConfigTruth& truth, const std::string& name)
    : world_(world),
      coordinators_(std::move(coordinators)),
      store_(store),
      truth_(truth),
      picky_(world.random().chance(0.7)),
      process_(world.add(name, [this] { boot(); })) {}

void CoordinatedNode::boot() {
  ++incarnation_;
  at_ = world_.random().below(coordinators_.size());
  lease_ = seq_ = config_version_ = 0;
  failures_ = 0;
  config_rejected_.reset();
  handed_on_ = {};
  ++generation_;
  if (incarnation_ > 1 && world_.random().chance(0.1)) linger();
  enroll();
}

// The process before this one had its registration under way when it died.
void CoordinatedNode::linger() {
  cluster::Registration old = about();
  --old.incarnation;
  CoordinatorActor& to = coordinator();
  world_.after(process_, world_.random().between(milliseconds(1), seconds(3)), [this, &to, old] {
    world_.send(process_, to.process(), [this, &to, old] {
      PoolCoordinator* leading = to.leading();
      if (leading == nullptr) return;
      const Status made = leading->register_node(old).status();
      if (coordinator::refusal_of(made) == coordinator::Refusal::kConflict) {
        world_.checks().hit(Sometimes::kOldProcessRefused);
      }
      to.flush();
    });
  });
}

cluster::Registration CoordinatedNode::about() const {
  cluster::Registration about;
  about.node_id = id();
  about.incarnation = incarnation_;
  about.location = location();
  about.pools = {{.pool_id = "main_db", .type = "sqlite", .max = 10}};
  return about;
}

void CoordinatedNode::again() {
  ++at_;
  ++generation_;
  world_.after(process_, world_.random().between(milliseconds(50), milliseconds(1000)),
               [this, generation = generation_] {
                 if (generation == generation_) enroll();
               });
}

void CoordinatedNode::enroll() {
  const uint64_t generation = ++generation_;
  CoordinatorActor& to = coordinator();
  world_.call<uint64_t>(
      process_, to.process(), kCall,
      [this, &to, about = about()]() -> Result<uint64_t> {
        PoolCoordinator* leading = to.leading();
        if (leading == nullptr) return not_leading();
        const Result<Json> answer = leading->register_node(about);
        to.flush();
        ARROW_RETURN_NOT_OK(answer.status());
        heard_at_ = world_.now();
        return answer->at("lease").is_string() ? std::stoull(answer->at("lease").get<std::string>())
                                               : answer->at("lease").get<uint64_t>();
      },
      [this, generation](const Result<uint64_t>& lease) {
        if (generation != generation_) return;
        if (!lease.ok()) return again();
        lease_ = *lease;
        failures_ = 0;
        beat(generation);
      });
}

void CoordinatedNode::beat(uint64_t generation) {
  if (generation != generation_) return;
  const auto jittered = milliseconds(world_.random().between(900, 1100));
  world_.after(process_, jittered, [this, generation] { beat(generation); });
  cluster::Heartbeat beat;
  beat.node_id = id();
  beat.incarnation = incarnation_;
  beat.lease = lease_;
  beat.seq = ++seq_;
  beat.pools = about().pools;
  beat.config_version = config_version_;
  beat.config_rejected = config_rejected_;
  if (config_rejected_) beat.config_reason = "it is bad";
  if (!world_.has(Bug::kNumberIsEnough)) handed_on_.name(&beat);
  CoordinatorActor& to = coordinator();
  world_.call<Json>(
      process_, to.process(), kCall,
      [this, &to, beat]() -> Result<Json> {
        PoolCoordinator* leading = to.leading();
        if (leading == nullptr) return not_leading();
        Result<Json> answer = leading->heartbeat(beat);
        to.flush();
        if (!answer.ok()) return answer;
        heard_at_ = world_.now();
        if (world_.has(Bug::kNoRollback)) {
          const Result<Json> head = leading->config("default", 0);
          if (head.ok()) (*answer)["config_version"] = head->at("version");
          if (head.ok()) (*answer)["config_hash"] = head->at("hash");
        }
        return answer;
      },
      [this, generation, beat](const Result<Json>& answer) { beaten(answer, generation, beat); });
}

void CoordinatedNode::beaten(const Result<Json>& answer, uint64_t generation,
                             const cluster::Heartbeat& beat) {
  if (generation != generation_) return;
  if (!answer.ok()) {
    if (coordinator::refusal_of(answer.status()) == coordinator::Refusal::kNotFound) {
      world_.checks().hit(Sometimes::kReRegistered);
      ++generation_;
      return enroll();
    }
    ++at_;
    if (++failures_ >= kFailures) again();
    return;
  }
  failures_ = 0;
  const cluster::ConfigId wanted{answer->at("config_version").get<uint64_t>(),
                                 answer->at("config_hash").get<std::string>()};
  if (wanted.version == 0 || same(wanted, beat.applied()) || same(wanted, beat.rejected())) return;
  if (wanted.version == beat.config_version) world_.checks().hit(Sometimes::kNumberAgain);
  take_config(wanted);
}

void CoordinatedNode::take_config(const cluster::ConfigId& wanted) {
  const uint64_t version = wanted.version;
  CoordinatorActor& to = coordinator();
  world_.call<std::string>(
      process_, to.process(), kCall,
      [&to, version]() -> Result<std::string> {
        PoolCoordinator* leading = to.leading();
        if (leading == nullptr) return not_leading();
        ARROW_ASSIGN_OR_RAISE(const Json entry, leading->config("default", version));
        return entry.at("content").get<std::string>();
      },
      [this, version, wipes = store_.wipes()](const Result<std::string>& content) {
        if (!content.ok()) return;
        if (wipes == store_.wipes()) truth_.handed_out(version, *content);
        const bool bad = is_bad(*content) && picky_;
        handed_on_.note({version, sha256(*content)}, !bad);
        if (world_.tracing()) {
          world_.trace(id(), (bad ? "refuses " : "applies ") + std::to_string(version));
        }
        if (bad) {
          config_rejected_ = version;
          return;
        }
        config_rejected_.reset();
        config_version_ = version;
        content_ = *content;
      });
}

}  // namespace cenote::simulation
