// The JSON of Consul's HTTP API, as far as nodes and coordinators need it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cenote/deadline.h"

#include "base/json.h"

namespace cenote::store::consul {

// A service that an agent is to know, with one check that lives by being passed.
struct Registration {
  std::string id;
  std::string name;
  std::map<std::string, std::string> meta;  // at most 64 values of 512 characters
  std::string check_id;
  Duration ttl = std::chrono::seconds(5);
  Duration deregister_after = std::chrono::minutes(1);  // Consul takes no less
};

// One registration, as the catalogue shows it.
struct Service {
  std::string id;
  std::string agent;  // the name of the Consul node that keeps it
  std::map<std::string, std::string> meta;
  bool passing = false;  // no check of it or of its agent is critical
};

struct Item {
  std::string key;
  std::string value;
  uint64_t create_index = 0;
  uint64_t modify_index = 0;
  uint64_t lock_index = 0;
  std::string session;  // that holds the key's lock; or empty
};

// One step of a transaction; all of them happen or none.
struct Step {
  enum class Verb : uint8_t {
    kSet,
    kCas,  // only if the key has modify_index `index`; 0: is absent
    kDelete,
    kCheckIndex,
    kCheckNotExists,
    kCheckSession,  // only if `session` holds the key's lock
    kLock,
  };
  Verb verb = Verb::kSet;
  std::string key;
  std::string value;
  uint64_t index = 0;
  std::string session;
};

struct Session {
  std::string name;
  std::string agent;     // the Consul node that keeps the checks
  std::string check_id;  // the session ends when this check is critical
};

std::string registration_body(const Registration& registration);
std::string check_body(std::string_view note);
std::string transaction_body(const std::vector<Step>& steps);
std::string session_body(const Session& session);

Result<std::vector<Service>> services_from(const Json& answer);
Result<std::vector<Item>> items_from(const Json& answer);
// The largest modify_index of what a transaction wrote.
Result<uint64_t> written_from(const Json& answer);
Result<std::string> session_from(const Json& answer);
Result<std::string> agent_name_from(const Json& answer);

}  // namespace cenote::store::consul
