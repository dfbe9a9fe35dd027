// The texts that stores keep.
#include "discovery/directory.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <utility>

#include "base/sha256.h"
#include "cluster/wire.h"

namespace cenote::discovery {

std::string entry_text(const Entry& entry) {
  Json value = {{"about", cluster::to_json(entry.about)},
                {"sequence", json_number(entry.sequence)},
                {"draining", entry.draining},
                {"config_version", json_number(entry.config_version)}};
  if (entry.config_rejected) {
    value["config_rejected"] = json_number(*entry.config_rejected);
    value["config_reason"] = entry.config_reason;
  }
  if (!entry.config_hash.empty()) value["config_hash"] = entry.config_hash;
  if (!entry.config_rejected_hash.empty()) {
    value["config_rejected_hash"] = entry.config_rejected_hash;
  }
  // In ASCII it may be cut anywhere.
  return value.dump(-1, ' ', true, Json::error_handler_t::replace);
}

Result<Entry> entry_from(std::string_view text) {
  ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(text));
  Entry entry;
  JsonReader reader(value);
  if (const Json* about = reader.child("about", true)) {
    ARROW_ASSIGN_OR_RAISE(entry.about, cluster::registration_from(*about));
  }
  reader.maybe("sequence", &entry.sequence);
  reader.maybe("draining", &entry.draining);
  reader.maybe("config_version", &entry.config_version);
  uint64_t rejected = 0;
  reader.maybe("config_rejected", &rejected);
  if (rejected != 0) entry.config_rejected = rejected;
  reader.maybe("config_reason", &entry.config_reason);
  reader.maybe("config_hash", &entry.config_hash);
  reader.maybe("config_rejected_hash", &entry.config_rejected_hash);
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return entry;
}

std::string config_text(const ConfigVersion& version) {
  return Json{{"version", json_number(version.version)},
              {"content", version.content},
              {"at", version.at},
              {"who", version.who},
              {"reason", version.reason}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<ConfigVersion> config_from(std::string_view text) {
  ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(text));
  ConfigVersion version;
  JsonReader reader(value);
  reader.get("version", &version.version);
  reader.get("content", &version.content);
  reader.maybe("at", &version.at);
  reader.maybe("who", &version.who);
  reader.maybe("reason", &version.reason);
  ARROW_RETURN_NOT_OK(reader.finish(true));
  version.hash = sha256(version.content);
  return version;
}

std::string utc_now() {
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> text{};
  const size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return {text.data(), size};
}

std::string drain_text(const std::string& who) {
  return Json{{"at", utc_now()}, {"who", who}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string head_text(const ConfigVersion& version) {
  // Of the content as it will be read, whatever in it is no UTF-8.
  const Result<ConfigVersion> read = config_from(config_text(version));
  return Json{{"version", json_number(version.version)}, {"hash", read.ok() ? read->hash : ""}}
      .dump();
}

Result<cluster::ConfigId> head_from(std::string_view text) {
  ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(text));
  cluster::ConfigId head;
  JsonReader reader(value);
  reader.get("version", &head.version);
  reader.maybe("hash", &head.hash);
  ARROW_RETURN_NOT_OK(reader.finish(true));
  return head;
}

Status check_cluster_name(std::string_view name) {
  const bool plain =
      !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
      });
  if (plain) return Status::OK();
  return make_error(ErrorKind::kConfig, "discovery.cluster '" + std::string(name) +
                                            "' must be 1 to 64 of a-z, 0-9 and '-'");
}

}  // namespace cenote::discovery
