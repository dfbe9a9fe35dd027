// Choose, probe if need be, call, learn.
#include "simulation/caller.h"

#include <utility>

namespace cenote::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kCall = seconds(1);
constexpr Duration kProbe = milliseconds(500);

}  // namespace

Caller::Caller(World& world, Options options, ProcessId self, CheckedView& view,
               std::function<ProcessId(const std::string&)> process,
               std::function<void(const std::string&)> on_refused)
    : world_(world),
      options_(options),
      self_(self),
      view_(view),
      process_(std::move(process)),
      on_refused_(std::move(on_refused)) {}

void Caller::boot() {
  const auto algorithm = static_cast<LoadBalanceAlgorithm>(world_.random().below(5));
  balancer_ = route::make_load_balancer(algorithm, world_.random().bits());
  breakers_.clear();
  next();
}

void Caller::next() {
  world_.after(self_, world_.random().between(milliseconds(150), milliseconds(600)), [this] {
    next();
    attempt(world_.random().chance(0.2), {});
  });
}

bool Caller::refused(bool write) const {
  const partition::Plan* plan = partition_ == nullptr ? nullptr : partition_->plan();
  if (plan == nullptr || world_.has(Bug::kAgeIgnored)) return false;
  const partition::Service service = plan->service(view_.view().age(world_.clock(self_)));
  const bool may =
      service == partition::Service::kAll || (service == partition::Service::kReads && !write);
  if (!may) world_.checks().hit(write ? Sometimes::kWriteRefused : Sometimes::kReadRefused);
  return !may;
}

route::Targets::Choice Caller::choose(bool write, const std::vector<std::string>& tried) const {
  const partition::Plan* plan = partition_ == nullptr ? nullptr : partition_->plan();
  if (world_.has(Bug::kUnreachedCalled)) plan = nullptr;
  const route::Need need = write ? route::Need::kWrite : route::Need::kRead;
  std::vector<const route::Target*> passed;
  for (const std::string& id : tried) {
    const route::Target* target = view_.targets().find(id);
    if (target != nullptr) passed.push_back(target);
  }
  const auto another = [&] {
    return view_.targets().choose(need, *balancer_, world_.clock(self_), world_.random().bits(),
                                  passed);
  };
  for (;;) {
    const route::Targets::Choice choice = another();
    if (choice.target == nullptr || plan == nullptr) return choice;
    const bool reached = plan->is_reached(choice.target->node_id);
    const double where = static_cast<double>(world_.random().below(1000)) / 1000;
    const bool held = reached && plan->holds_back(choice.target->node_id, where);
    if (reached && !held) return choice;
    passed.push_back(choice.target);
    if (held && another().target == nullptr) return choice;
    if (!reached) world_.checks().hit(Sometimes::kPassedOver);
  }
}

void Caller::attempt(bool write, std::vector<std::string> tried) {
  if (refused(write)) return;
  if (world_.has(Bug::kDeadNodeCalled)) {
    const auto& nodes = view_.view().nodes();
    if (nodes.empty()) return;
    const auto any =
        std::next(nodes.begin(), static_cast<std::ptrdiff_t>(world_.random().below(nodes.size())));
    return send(any->first, write, {any->first, any->first});
  }
  const route::Targets::Choice choice = choose(write, tried);
  if (choice.target == nullptr) return;
  const std::string node = choice.target->node_id;
  tried.push_back(node);
  if (!choice.probe_first) return send(node, write, std::move(tried));
  world_.checks().hit(Sometimes::kProbedFirst);
  world_.call<bool>(
      self_, process_(node), kProbe, []() -> Result<bool> { return true; },
      [this, node, write, tried](const Result<bool>& alive) {
        if (alive.ok()) send(node, write, tried);
      });
}

void Caller::check(const std::string& node) const {
  const ProcessId process = process_(node);
  if (nemesis_ == nullptr || world_.runs(process)) return;
  const Duration gone = world_.now() - world_.changed_at(process);
  if (gone > options_.known_dead && nemesis_->calm_for(options_.calm)) {
    world_.checks().fail(world_.name(self_) + " calls " + node + ", which has been down for " +
                         std::to_string(std::chrono::floor<milliseconds>(gone).count()) + " ms");
  }
}

void Caller::send(const std::string& node, bool write, std::vector<std::string> tried) {
  check(node);
  if (partition_ != nullptr) partition_->check_call(node, write);
  const route::Target* target = view_.targets().find(node);
  const std::shared_ptr<route::Load> load = target == nullptr ? nullptr : target->load;
  if (load != nullptr) load->begin();
  const TimePoint began = world_.clock(self_);
  world_.call<bool>(
      self_, process_(node), kCall, []() -> Result<bool> { return true; },
      [this, node, load, began, write, tried = std::move(tried)](const Result<bool>& answer) {
        const TimePoint now = world_.clock(self_);
        route::Breaker& breaker = breakers_[node];
        if (load != nullptr) load->end(now, now - began, !answer.ok());
        if (answer.ok()) {
          ++answered_;
          if (partition_ != nullptr) {
            const partition::Plan* plan = partition_->plan();
            const bool local = plan != nullptr && plan->local;
            partition_->check_answer(local && !world_.has(Bug::kFreshLabel));
          }
          if (breaker.succeeded(now) && load != nullptr) load->open();
          return;
        }
        if (breaker.failed(now, world_.random().bits()) && load != nullptr) {
          load->shut(breaker.open_until());
        }
        if (is_refused(answer.status())) on_refused_(node);
        // A write that may have happened is not repeated.
        const bool again = !write || is_refused(answer.status());
        if (again && tried.size() < 2) attempt(write, tried);
      });
}

}  // namespace cenote::simulation
