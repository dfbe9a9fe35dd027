// Reading and writing the texts of directory.h.
#include "discovery/keyed_directory.h"

namespace cenote::discovery {

using cluster::ConfigId;

Result<ConfigId> KeyedDirectory::config_head(const std::stop_token& stop) {
  ARROW_ASSIGN_OR_RAISE(const auto found, keys().get({{}, stop}, head_key()));
  return found ? head_from(found->value) : ConfigId();
}

Result<ConfigVersion> KeyedDirectory::config(const std::stop_token& stop, uint64_t version) {
  ARROW_ASSIGN_OR_RAISE(const auto found, keys().get({{}, stop}, version_key(version)));
  if (found) return config_from(found->value);
  return make_error(ErrorKind::kUnknownPool,
                    "the store has no configuration " + std::to_string(version));
}

Result<bool> KeyedDirectory::append_config(const std::stop_token& stop, const ConfigId& head,
                                           const ConfigVersion& version) {
  ARROW_ASSIGN_OR_RAISE(const auto found, keys().get({{}, stop}, head_key()));
  ConfigId now;
  if (found) {
    ARROW_ASSIGN_OR_RAISE(now, head_from(found->value));
  }
  if (!same(now, head)) return false;
  const std::string key = version_key(head.version + 1);
  ARROW_ASSIGN_OR_RAISE(
      const auto written,
      keys().commit({{}, stop}, {{{head_key(), found ? found->version : 0}, {key, 0}},
                                 {{key, config_text(version)}, {head_key(), head_text(version)}},
                                 {}}));
  return written.has_value();
}

Result<std::vector<std::string>> KeyedDirectory::drained(const std::stop_token& stop) {
  const std::string begin = prefix_ + "drain/";
  ARROW_ASSIGN_OR_RAISE(const auto items, keys().list({{}, stop}, begin));
  std::vector<std::string> ids;
  for (const store::KeyItem& item : items) ids.push_back(item.key.substr(begin.size()));
  return ids;
}

Status KeyedDirectory::set_drained(const std::stop_token& stop, const std::string& node_id, bool on,
                                   const std::string& who) {
  const std::string key = prefix_ + "drain/" + node_id;
  store::KeyChange change;
  if (on) {
    change.puts.emplace_back(key, drain_text(who));
  } else {
    change.deletes.push_back(key);
  }
  return keys().commit({{}, stop}, change).status();
}

}  // namespace cenote::discovery
