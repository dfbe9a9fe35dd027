// One writer for each request, one reader for each answer.
#include "store/consul_wire.h"

#include <algorithm>
#include <array>
#include <utility>

#include "store/base64.h"

namespace cenote::store::consul {
namespace {

// Keys in the order given: what is sent can be compared byte by byte.
using OrderedJson = nlohmann::ordered_json;

std::string milliseconds(Duration time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) + "ms";
}

std::string_view name_of(Step::Verb verb) {
  static constexpr std::array<std::string_view, 7> kNames = {
      "set", "cas", "delete", "check-index", "check-not-exists", "check-session", "lock"};
  return kNames.at(static_cast<size_t>(verb));
}

const Json* array_of(JsonReader* reader, std::string_view key, bool required) {
  const Json* found = reader->child(key, required);
  if (found == nullptr || found->is_array()) return found;
  reader->fail(key, "must be an array");
  return nullptr;
}

Result<Item> item_from(const Json& value, const std::string& where) {
  Item item;
  JsonReader reader(value, where);
  std::string encoded;
  reader.get("Key", &item.key);
  reader.maybe("Value", &encoded);
  reader.maybe("CreateIndex", &item.create_index);
  reader.maybe("ModifyIndex", &item.modify_index);
  reader.maybe("LockIndex", &item.lock_index);
  reader.maybe("Session", &item.session);
  ARROW_RETURN_NOT_OK(reader.finish(true));
  ARROW_ASSIGN_OR_RAISE(item.value, from_base64(encoded));
  return item;
}

Result<Service> service_from(const Json& value, const std::string& where) {
  Service service;
  JsonReader reader(value, where);
  if (const Json* node = reader.child("Node", true)) {
    JsonReader inner(*node, where + "/Node");
    inner.get("Node", &service.agent);
    ARROW_RETURN_NOT_OK(inner.finish(true));
  }
  if (const Json* about = reader.child("Service", true)) {
    JsonReader inner(*about, where + "/Service");
    inner.get("ID", &service.id);
    inner.maybe("Meta", &service.meta);
    ARROW_RETURN_NOT_OK(inner.finish(true));
  }
  service.passing = true;
  const Json* checks = array_of(&reader, "Checks", true);
  for (size_t i = 0; checks != nullptr && i < checks->size(); ++i) {
    std::string status;
    JsonReader inner((*checks)[i], where + "/Checks/" + std::to_string(i));
    inner.get("Status", &status);
    ARROW_RETURN_NOT_OK(inner.finish(true));
    if (status == "critical") service.passing = false;
  }
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return service;
}

}  // namespace

std::string registration_body(const Registration& registration) {
  const OrderedJson check = {
      {"CheckID", registration.check_id},
      {"TTL", milliseconds(registration.ttl)},
      {"Status", "passing"},
      {"DeregisterCriticalServiceAfter", milliseconds(registration.deregister_after)}};
  return OrderedJson{{"ID", registration.id},
                     {"Name", registration.name},
                     {"Meta", registration.meta},
                     {"Check", check}}
      .dump();
}

std::string check_body(std::string_view note) {
  return OrderedJson{{"Status", "passing"}, {"Output", note}}.dump();
}

std::string transaction_body(const std::vector<Step>& steps) {
  OrderedJson body = OrderedJson::array();
  for (const Step& step : steps) {
    using Verb = Step::Verb;
    OrderedJson kv = {{"Verb", name_of(step.verb)}, {"Key", step.key}};
    const bool writes =
        step.verb == Verb::kSet || step.verb == Verb::kCas || step.verb == Verb::kLock;
    if (writes) kv["Value"] = base64(step.value);
    if (step.verb == Verb::kCas || step.verb == Verb::kCheckIndex) kv["Index"] = step.index;
    if (!step.session.empty()) kv["Session"] = step.session;
    body.push_back({{"KV", std::move(kv)}});
  }
  return body.dump();
}

std::string session_body(const Session& session) {
  // No delay: every write names the session that allows it, so that a late one is refused. The
  // agent's own health too: where it dies nobody marks the other check, and the lock would last
  // until Consul forgets the agent (72 h).
  return OrderedJson{{"Name", session.name},
                     {"Node", session.agent},
                     {"LockDelay", "0s"},
                     {"Behavior", "release"},
                     {"NodeChecks", OrderedJson::array({"serfHealth"})},
                     {"ServiceChecks", OrderedJson::array({{{"ID", session.check_id}}})}}
      .dump();
}

Result<std::vector<Service>> services_from(const Json& answer) {
  if (!answer.is_array()) return make_error(ErrorKind::kData, "the list of services is no list");
  std::vector<Service> services;
  for (size_t i = 0; i < answer.size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(Service service, service_from(answer[i], "/" + std::to_string(i)));
    services.push_back(std::move(service));
  }
  return services;
}

Result<std::vector<Item>> items_from(const Json& answer) {
  if (!answer.is_array()) return make_error(ErrorKind::kData, "the list of keys is no list");
  std::vector<Item> items;
  for (size_t i = 0; i < answer.size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(Item item, item_from(answer[i], "/" + std::to_string(i)));
    items.push_back(std::move(item));
  }
  return items;
}

Result<uint64_t> written_from(const Json& answer) {
  uint64_t newest = 0;
  JsonReader reader(answer);
  const Json* results = array_of(&reader, "Results", false);
  for (size_t i = 0; results != nullptr && i < results->size(); ++i) {
    const std::string where = "/Results/" + std::to_string(i);
    JsonReader one((*results)[i], where);
    const Json* kv = one.child("KV", false);
    if (kv == nullptr) continue;
    ARROW_ASSIGN_OR_RAISE(const Item item, item_from(*kv, where + "/KV"));
    newest = std::max(newest, item.modify_index);
  }
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return newest;
}

Result<std::string> session_from(const Json& answer) {
  std::string id;
  JsonReader reader(answer);
  reader.get("ID", &id);
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return id;
}

Result<std::string> agent_name_from(const Json& answer) {
  std::string name;
  JsonReader reader(answer);
  if (const Json* config = reader.child("Config", true)) {
    JsonReader inner(*config, "/Config");
    inner.get("NodeName", &name);
    ARROW_RETURN_NOT_OK(inner.finish(true));
  }
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return name;
}

}  // namespace cenote::store::consul
