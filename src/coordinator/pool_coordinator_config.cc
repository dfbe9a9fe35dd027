// Changes that must be on disk before they are told: configuration versions, the audit log,
// idempotent answers.
//
// Keys: config/<scope>/<version, 16 digits>, config-head/<scope>, rollout/<scope>,
// idempotency/<key>.
#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "base/log.h"
#include "coordinator/pool_coordinator.h"

namespace cenote::coordinator {
namespace {

constexpr size_t kMaxContent = size_t{512} << 10;  // Consul's limit of a value

std::string config_key(std::string_view scope, uint64_t version) {
  std::array<char, 32> digits{};
  std::snprintf(digits.data(), digits.size(), "%016llu", static_cast<unsigned long long>(version));
  return "config/" + std::string(scope) + "/" + digits.data();
}

std::string head_key(std::string_view scope) {
  return "config-head/" + std::string(scope);
}

std::string rollout_key(std::string_view scope) {
  return "rollout/" + std::string(scope);
}

Status check_scope(std::string_view scope) {
  const bool plain =
      !scope.empty() && scope.size() <= 64 && std::all_of(scope.begin(), scope.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
      });
  if (plain) return Status::OK();
  return refuse(Refusal::kInvalid, "a scope's name is 1 to 64 of a-z, 0-9, '_' and '-'");
}

}  // namespace

Result<std::optional<Json>> PoolCoordinator::replay(const CallContext& context,
                                                    const Change& change) const {
  if (change.idempotency_key.empty()) return std::optional<Json>();
  ARROW_ASSIGN_OR_RAISE(const std::optional<Item> item,
                        store_->get(context, "idempotency/" + sha256(change.idempotency_key)));
  if (!item) return std::optional<Json>();
  ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(item->value));
  if (value.value("body_hash", "") != change.body_hash) {
    return refuse(Refusal::kInvalid,
                  "this Idempotency-Key was used for another request; take a new one");
  }
  return std::optional<Json>(value.value("answer", Json()));
}

Result<uint64_t> PoolCoordinator::commit(const CallContext& context, StoreWrite write,
                                         const Change& change, std::string_view action, Json from,
                                         Json to, const Json& answer) {
  audit_.append(&write, change.actor, action, std::move(from), std::move(to));
  if (!change.idempotency_key.empty()) {
    const std::string key = "idempotency/" + sha256(change.idempotency_key);
    write.conditions.push_back({key, 0});
    write.puts.emplace_back(
        key, Json{{"body_hash", change.body_hash}, {"answer", answer}, {"at", now_text()}}.dump());
  }
  const Result<uint64_t> version = store_->commit(context, write);
  if (!version.ok()) {
    const ErrorDetail* detail = error_detail(version.status());
    doubtful_ = detail == nullptr || detail->sent != Sent::kNo;
    return version;
  }
  if (*version == 0) {
    // Another coordinator was faster.
    doubtful_ = true;
    return refuse(Refusal::kStale,
                  "somebody else changed this meanwhile; read it again, then retry");
  }
  audit_.advance(*version);
  return version;
}

Status PoolCoordinator::load_scopes(const CallContext& context) {
  ARROW_ASSIGN_OR_RAISE(const std::vector<Item> heads, store_->list(context, "config-head/"));
  ARROW_ASSIGN_OR_RAISE(const std::vector<Item> rollouts, store_->list(context, "rollout/"));
  const Lock state(state_);
  for (const Item& item : heads) {
    Scope& scope = scopes_[item.key.substr(std::string_view("config-head/").size())];
    ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(item.value));
    JsonReader reader(value);
    reader.get("version", &scope.head.version);
    reader.maybe("hash", &scope.head.hash);
    ARROW_RETURN_NOT_OK(reader.finish(true));
    scope.head_version = item.version;
  }
  for (const Item& item : rollouts) {
    // One that had not ended begins again: what a node applied already it acknowledges at once.
    ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(item.value));
    JsonReader reader(value);
    cluster::ConfigId version;
    cluster::ConfigId previous;
    reader.get("version", &version.version);
    reader.maybe("hash", &version.hash);
    cluster::Rollout::Options how = options_.rollout;
    reader.get("previous", &previous.version);
    reader.maybe("previous_hash", &previous.hash);
    reader.get("staged", &how.staged);
    ARROW_RETURN_NOT_OK(reader.finish(true));
    Scope& scope = scopes_[item.key.substr(std::string_view("rollout/").size())];
    if (scope.rollout != nullptr && same(scope.rollout->version(), version)) continue;
    scope.rollout = std::make_unique<cluster::Rollout>(how, version, previous, Clock::now());
    scope.rollout_kept = true;
  }
  return Status::OK();
}

Status PoolCoordinator::validate_config(std::string_view content) const {
  if (content.size() > kMaxContent) {
    return refuse(Refusal::kInvalid, "/content: a configuration holds at most 512 KiB");
  }
  const Status valid = options_.validate ? options_.validate(content) : Status::OK();
  return valid.ok() ? valid : refuse(Refusal::kInvalid, "/content: " + valid.message());
}

uint64_t PoolCoordinator::head_of(std::string_view scope) const {
  const Lock state(state_);
  const auto found = scopes_.find(scope);
  return found == scopes_.end() ? 0 : found->second.head.version;
}

// A version that is still on its way, or failed, is nothing to go back to.
const cluster::ConfigId& PoolCoordinator::Scope::proven() const {
  const bool done = rollout == nullptr || !same(rollout->version(), head) ||
                    rollout->stage() == cluster::Rollout::Stage::kDone;
  return done ? head : rollout->previous();
}

Result<Json> PoolCoordinator::append_version(const CallContext& context, std::string_view name,
                                             std::string_view content, std::string_view action,
                                             std::string_view reason, const Change& change) {
  uint64_t head = 0;
  uint64_t head_version = 0;
  cluster::ConfigId proven;
  {
    const Lock state(state_);
    const auto found = scopes_.find(name);
    if (found != scopes_.end()) {
      head = found->second.head.version;
      head_version = found->second.head_version;
      proven = found->second.proven();
    }
  }
  const uint64_t version = head + 1;
  const std::string hash = sha256(content);
  const Json entry = {{"scope", name},    {"version", version}, {"content", content},
                      {"hash", hash},     {"at", now_text()},   {"who", change.actor.who},
                      {"action", action}, {"reason", reason},   {"previous", head}};
  Json answer = entry;
  answer.erase("content");
  cluster::Rollout::Options how = options_.rollout;
  // Going back is urgent and known to work.
  if (action != "config.put") how.staged = false;
  const Json rollout = {{"version", version},
                        {"hash", hash},
                        {"previous", proven.version},
                        {"previous_hash", proven.hash},
                        {"staged", how.staged}};
  StoreWrite write;
  write.conditions = {{head_key(name), head_version}, {config_key(name, version), 0}};
  write.puts = {{config_key(name, version), entry.dump()},
                {head_key(name), Json{{"version", version}, {"hash", hash}}.dump()},
                {rollout_key(name), rollout.dump()}};
  ARROW_ASSIGN_OR_RAISE(
      const uint64_t written,
      commit(context, std::move(write), change, action, Json{{"scope", name}, {"version", head}},
             Json{{"scope", name}, {"version", version}, {"hash", hash}}, answer));
  const Lock state(state_);
  Scope& scope = scopes_[std::string(name)];
  scope.head = {version, hash};
  scope.head_version = written;
  scope.rollout = std::make_unique<cluster::Rollout>(how, scope.head, proven, Clock::now());
  scope.rollout_kept = true;
  scope.no_way_back = false;
  advance_rollouts(Clock::now());
  return answer;
}

Result<Json> PoolCoordinator::put_config(std::string_view scope, std::string_view content,
                                         std::optional<uint64_t> if_match, const Change& change) {
  ARROW_RETURN_NOT_OK(check_scope(scope));
  const CallContext context = store_context();
  const TurnLock changes(changes_, context.deadline);
  ARROW_RETURN_NOT_OK(changes.status());
  ARROW_RETURN_NOT_OK(catch_up(context));
  ARROW_ASSIGN_OR_RAISE(const std::optional<Json> before, replay(context, change));
  if (before) return *before;
  const uint64_t head = head_of(scope);
  if (!if_match) {
    return refuse(Refusal::kPreconditionRequired,
                  "say with If-Match which version you saw; the newest is " + std::to_string(head));
  }
  if (*if_match != head) {
    return refuse(Refusal::kStale, "the newest version is " + std::to_string(head) + ", not " +
                                       std::to_string(*if_match) +
                                       "; look at the difference first");
  }
  ARROW_RETURN_NOT_OK(validate_config(content));
  return append_version(context, scope, content, "config.put", "", change);
}

Result<Json> PoolCoordinator::stored_version(const CallContext& context, std::string_view scope,
                                             uint64_t version) const {
  ARROW_ASSIGN_OR_RAISE(const std::optional<Item> item,
                        store_->get(context, config_key(scope, version)));
  if (!item) {
    return refuse(Refusal::kNotFound,
                  "scope '" + std::string(scope) + "' has no version " + std::to_string(version));
  }
  return parse_json(item->value);
}

Result<Json> PoolCoordinator::config(std::string_view scope, uint64_t version) const {
  ARROW_RETURN_NOT_OK(check_scope(scope));
  const uint64_t wanted = version == 0 ? head_of(scope) : version;
  if (wanted == 0) {
    return refuse(Refusal::kNotFound, "scope '" + std::string(scope) +
                                          "' has no configuration yet; write the first with "
                                          "If-Match: \"0\"");
  }
  return stored_version(store_context(), scope, wanted);
}

Result<Json> PoolCoordinator::config_history(std::string_view scope) const {
  ARROW_RETURN_NOT_OK(check_scope(scope));
  ARROW_ASSIGN_OR_RAISE(const std::vector<Item> items,
                        store_->list(store_context(), "config/" + std::string(scope) + "/"));
  Json versions = Json::array();
  for (auto item = items.rbegin(); item != items.rend(); ++item) {
    ARROW_ASSIGN_OR_RAISE(Json entry, parse_json(item->value));
    entry.erase("content");
    versions.push_back(std::move(entry));
  }
  return Json{{"scope", scope}, {"versions", std::move(versions)}};
}

Result<Json> PoolCoordinator::rollback(std::string_view scope, uint64_t to, const Change& change) {
  ARROW_RETURN_NOT_OK(check_scope(scope));
  const CallContext context = store_context();
  const TurnLock changes(changes_, context.deadline);
  ARROW_RETURN_NOT_OK(changes.status());
  ARROW_RETURN_NOT_OK(catch_up(context));
  ARROW_ASSIGN_OR_RAISE(const std::optional<Json> before, replay(context, change));
  if (before) return *before;
  const uint64_t head = head_of(scope);
  const uint64_t wanted = to != 0 ? to : head - 1;
  if (head == 0 || wanted == 0 || wanted >= head) {
    return refuse(Refusal::kConflict,
                  "scope '" + std::string(scope) + "' has no such older version to go back to");
  }
  ARROW_ASSIGN_OR_RAISE(const Json old, stored_version(context, scope, wanted));
  return append_version(context, scope, old.value("content", ""), "config.rollback",
                        "back to version " + std::to_string(wanted), change);
}

Result<Json> PoolCoordinator::rollout(std::string_view scope) const {
  const Lock state(state_);
  const auto found = scopes_.find(scope);
  if (found == scopes_.end() || found->second.rollout == nullptr) {
    return refuse(Refusal::kNotFound, "scope '" + std::string(scope) + "' has no roll-out");
  }
  const cluster::Rollout& rollout = *found->second.rollout;
  return Json{{"scope", scope},
              {"version", rollout.version().version},
              {"previous", rollout.previous().version},
              {"stage", to_string(rollout.stage())},
              {"reason", rollout.reason()},
              {"nodes", rollout.acknowledgements()}};
}

Result<Json> PoolCoordinator::abort_rollout(std::string_view scope, const std::string& reason,
                                            const Change& change) {
  {
    uint64_t version = 0;
    const CallContext context = store_context();
    const TurnLock changes(changes_, context.deadline);
    ARROW_RETURN_NOT_OK(changes.status());
    ARROW_RETURN_NOT_OK(catch_up(context));
    ARROW_ASSIGN_OR_RAISE(const std::optional<Json> before, replay(context, change));
    if (before) return *before;
    {
      const Lock state(state_);
      const auto found = scopes_.find(scope);
      using Stage = cluster::Rollout::Stage;
      if (found == scopes_.end() || found->second.rollout == nullptr ||
          found->second.rollout->stage() == Stage::kDone ||
          found->second.rollout->stage() == Stage::kRolledBack) {
        return refuse(Refusal::kConflict,
                      "no roll-out is under way in scope '" + std::string(scope) + "'");
      }
      version = found->second.rollout->version().version;
    }
    const Json answer = {{"scope", scope}, {"aborted", true}, {"reason", reason}};
    ARROW_RETURN_NOT_OK(
        commit(context, {}, change, "rollout.abort", Json{{"scope", scope}}, answer, answer));
    const Lock state(state_);
    const auto found = scopes_.find(scope);
    if (found->second.rollout->version().version == version) found->second.rollout->abort(reason);
  }
  settle();
  return rollout(scope);
}

Status PoolCoordinator::bring_back(const std::string& name, const std::string& reason) {
  const CallContext context = store_context();
  const TurnLock changes(changes_, context.deadline);
  ARROW_RETURN_NOT_OK(changes.status());
  ARROW_RETURN_NOT_OK(catch_up(context));
  uint64_t head = 0;
  uint64_t previous = 0;
  {
    const Lock state(state_);
    const Scope& scope = scopes_.find(name)->second;
    const bool failed = scope.rollout != nullptr && same(scope.rollout->version(), scope.head) &&
                        scope.rollout->stage() == cluster::Rollout::Stage::kRolledBack;
    if (!failed || scope.no_way_back) return Status::OK();  // somebody was faster
    head = scope.head.version;
    previous = scope.rollout->previous().version;
  }
  std::string content;
  if (previous != 0) {
    ARROW_ASSIGN_OR_RAISE(const Json failed, stored_version(context, name, head));
    ARROW_ASSIGN_OR_RAISE(const Json old, stored_version(context, name, previous));
    content = old.value("content", "");
    // What failed was the way back: the same again would fail again, without an end.
    if (failed.value("content", "") == content) previous = 0;
  }
  if (previous == 0) {
    log(LogLevel::kWarning, "coordinator",
        "scope '" + name + "': version " + std::to_string(head) +
            " failed and no older one is known to work, the nodes keep what they have: " + reason);
    const Lock state(state_);
    scopes_.find(name)->second.no_way_back = true;
    return Status::OK();
  }
  ARROW_RETURN_NOT_OK(append_version(context, name, content, "config.auto_rollback", reason,
                                     {{"coordinator", ""}, "", ""})
                          .status());
  log(LogLevel::kWarning, "coordinator", "scope '" + name + "' was rolled back: " + reason);
  return Status::OK();
}

void PoolCoordinator::forget_rollout(const std::string& name) {
  const Result<uint64_t> forgotten = store_->commit(store_context(), {{}, {}, {rollout_key(name)}});
  if (!forgotten.ok()) return log(LogLevel::kWarning, "coordinator", forgotten.status().message());
  const Lock state(state_);
  scopes_.find(name)->second.rollout_kept = false;
}

Result<Json> PoolCoordinator::audit(uint64_t before, size_t limit) const {
  return Audit::read(store_context(), *store_, before, limit);
}

Status PoolCoordinator::verify_audit() const {
  return Audit::verify(store_context(), *store_);
}

Result<std::string> PoolCoordinator::backup(const Actor& actor) {
  // Longer than other calls: it reads all there is.
  const CallContext context{Deadline::in(std::chrono::seconds(30)), {}};
  {
    const TurnLock changes(changes_, store_context().deadline);
    ARROW_RETURN_NOT_OK(changes.status());
    ARROW_RETURN_NOT_OK(catch_up(context));
    ARROW_RETURN_NOT_OK(
        commit(context, {}, {actor, "", ""}, "state.backup", Json(), Json(), Json()).status());
  }
  return store_->backup(context);
}

}  // namespace cenote::coordinator
