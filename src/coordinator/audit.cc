// Keys: audit/<sequence, 16 digits> for the entries, audit-end for the end of the chain.
#include "coordinator/audit.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <utility>

namespace cenote::coordinator {
namespace {

constexpr std::string_view kEnd = "audit-end";

std::string key_of(uint64_t seq) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "audit/%016llu", static_cast<unsigned long long>(seq));
  return text.data();
}

std::string hash_of(const Json& entry) {
  Json hashed = entry;
  hashed.erase("hash");
  return sha256(hashed.dump());
}

}  // namespace

std::string now_text() {
  return time_text(std::chrono::system_clock::now());
}

std::string time_text(std::chrono::system_clock::time_point time) {
  const auto millis =
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  const std::time_t seconds = static_cast<std::time_t>(millis / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  const size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text.data() + size, text.size() - size, ".%03dZ", static_cast<int>(millis % 1000));
  return text.data();
}

Result<Audit> Audit::load(const CallContext& context, Store& store) {
  Audit audit;
  ARROW_ASSIGN_OR_RAISE(const std::optional<Item> end, store.get(context, kEnd));
  if (end) {
    ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(end->value));
    JsonReader reader(value);
    reader.get("seq", &audit.end_.seq);
    reader.get("hash", &audit.end_.hash);
    ARROW_RETURN_NOT_OK(reader.finish());
    audit.end_.version = end->version;
  }
  return audit;
}

void Audit::append(StoreWrite* write, const Actor& actor, std::string_view action, Json from,
                   Json to) {
  next_ = end_;
  ++next_.seq;
  Json entry = {{"seq", next_.seq},    {"at", now_text()},
                {"who", actor.who},    {"request_id", actor.request_id},
                {"action", action},    {"from", std::move(from)},
                {"to", std::move(to)}, {"previous", end_.hash}};
  next_.hash = hash_of(entry);
  entry["hash"] = next_.hash;
  write->conditions.push_back({std::string(kEnd), end_.version});
  write->puts.emplace_back(key_of(next_.seq), entry.dump());
  write->puts.emplace_back(kEnd, Json{{"seq", next_.seq}, {"hash", next_.hash}}.dump());
}

void Audit::advance(uint64_t version) {
  end_ = next_;
  end_.version = version;
}

Status Audit::seal(const CallContext& context, Store& store) {
  StoreWrite write;
  write.conditions = {{std::string(kEnd), end_.version}};
  write.puts = {{std::string(kEnd), Json{{"seq", end_.seq}, {"hash", end_.hash}}.dump()}};
  ARROW_ASSIGN_OR_RAISE(const uint64_t version, store.commit(context, write));
  if (version == 0) {
    return make_error(ErrorKind::kOperational,
                      "the store changes while it is read; try again in a second");
  }
  end_.version = version;
  return Status::OK();
}

Result<Json> Audit::read(const CallContext& context, Store& store, uint64_t before, size_t limit) {
  ARROW_ASSIGN_OR_RAISE(const std::vector<Item> items, store.list(context, "audit/"));
  Json entries = Json::array();
  for (auto item = items.rbegin(); item != items.rend() && entries.size() < limit; ++item) {
    ARROW_ASSIGN_OR_RAISE(Json entry, parse_json(item->value));
    if (before != 0 && entry.value("seq", uint64_t{0}) >= before) continue;
    entries.push_back(std::move(entry));
  }
  return entries;
}

Status Audit::verify(const CallContext& context, Store& store) {
  // The end first: entries that come meanwhile are beyond it.
  ARROW_ASSIGN_OR_RAISE(const Audit known, load(context, store));
  ARROW_ASSIGN_OR_RAISE(const std::vector<Item> entries, store.list(context, "audit/"));
  ARROW_RETURN_NOT_OK(verify(entries));
  const uint64_t wanted = known.end_.seq;
  if (entries.size() < wanted) {
    return make_error(ErrorKind::kData, "the audit log ends at entry " +
                                            std::to_string(entries.size()) + ", but " +
                                            std::to_string(wanted) + " were written");
  }
  if (wanted == 0) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const Json last, parse_json(entries[wanted - 1].value));
  if (last.value("hash", "") == known.end_.hash) return Status::OK();
  return make_error(ErrorKind::kData,
                    "the audit log was written anew up to entry " + std::to_string(wanted));
}

Status Audit::verify(std::span<const Item> entries) {
  std::string previous;
  uint64_t expected = 1;
  for (const Item& item : entries) {
    ARROW_ASSIGN_OR_RAISE(const Json entry, parse_json(item.value));
    const bool whole = entry.value("seq", uint64_t{0}) == expected &&
                       entry.value("previous", "?") == previous &&
                       entry.value("hash", "") == hash_of(entry);
    if (!whole) {
      return make_error(ErrorKind::kData, "the audit log was changed at or before entry " +
                                              std::to_string(expected) + " (" + item.key + ")");
    }
    previous = entry.value("hash", "");
    ++expected;
  }
  return Status::OK();
}

}  // namespace cenote::coordinator
