// `cenote config diff|apply|history|rollback`: the versions of a cluster's configuration, kept by
// its coordinator.
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/mutex.h"
#include "cli/cluster.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/pretty.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "config/value.h"
#include "coordinator/line_diff.h"
#include "frame/print.h"

namespace cenote::cli {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(500);

struct Versions {
  ClusterOptions cluster;
  std::string scope = "default";
  std::string format = "table";
  std::string file;
  uint64_t from = 0;
  uint64_t to = 0;
  std::string if_match;
  bool yes = false;
  bool wait = false;
  std::string wait_limit = "10min";

  // One of them, with the coordinator reached and signals taken care of.
  int run(int (Versions::*what)()) {
    const Interrupt interrupt;
    stop_ = interrupt.token();
    Result<Cluster> asked = Cluster::open(cluster, stop_);
    if (!asked.ok()) return fail_cluster(asked.status());
    coordinator_ = &*asked;
    return (this->*what)();
  }
  int diff();
  int apply();
  int history();
  int rollback();

 private:
  std::string path(const std::string& rest = "") const {
    return "/v1/config/" + url_encode(scope) + rest;
  }
  // "0" and nothing if there is none yet.
  Result<std::pair<uint64_t, std::string>> version(uint64_t number);
  Result<std::string> content_of_file() const;
  Status validated(const std::string& content);
  int print_diff(const std::string& before, const std::string& after, const std::string& text);
  int conflict(const Status& status, uint64_t seen);
  int done(const Json& entry, const std::string& verb);
  int wait_for_rollout(uint64_t version);

  Cluster* coordinator_ = nullptr;
  std::stop_token stop_;
};

uint64_t number(const Json& value, const char* key) {
  const auto found = value.find(key);
  return found != value.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

std::string text(const Json& value, const char* key) {
  const auto found = value.find(key);
  return found != value.end() && found->is_string() ? found->get<std::string>() : "";
}

Result<std::pair<uint64_t, std::string>> Versions::version(uint64_t wanted) {
  const Result<Json> entry =
      coordinator_->get(wanted == 0 ? path() : path("/versions/" + std::to_string(wanted)));
  if (entry.ok()) return std::pair(number(*entry, "version"), text(*entry, "content"));
  const bool none = wanted == 0 && error_kind(entry.status()) == ErrorKind::kUnknownPool;
  if (!none) return entry.status();
  return std::pair(uint64_t{0}, std::string());
}

Result<std::string> Versions::content_of_file() const {
  std::ifstream in(file, std::ios::binary);
  std::string content(std::istreambuf_iterator<char>(in), {});
  if (!in.is_open() || in.bad()) {
    return make_error(ErrorKind::kConfig, "the file '" + file + "' cannot be read");
  }
  return content;
}

// The coordinator's word counts, since it may be newer than this program. It names the place in the
// request and, in there, the line.
Status Versions::validated(const std::string& content) {
  const Result<Json> answer =
      coordinator_->change("POST", path("/validate"), Json{{"content", content}});
  if (answer.ok()) return Status::OK();
  std::string message = answer.status().message();
  constexpr std::string_view kName = "/content: configuration:";
  if (error_kind(answer.status()) != ErrorKind::kConfig) return answer.status();
  if (message.starts_with(kName)) message.replace(0, kName.size(), file + ":");
  return make_error(ErrorKind::kConfig, message);
}

int Versions::print_diff(const std::string& before, const std::string& after,
                         const std::string& title) {
  const std::string changes = coordinator::line_diff(before, after);
  return print(changes.empty() ? title + ": no difference\n" : title + "\n" + changes);
}

int Versions::diff() {
  if (!file.empty()) {
    const Result<std::string> content = content_of_file();
    if (!content.ok()) return fail(content.status());
    const auto newest = version(from);
    if (!newest.ok()) return fail_cluster(newest.status());
    if (format == "json") {
      return print(pretty<Json>({{"scope", scope},
                                 {"from", newest->first},
                                 {"to", file},
                                 {"diff", coordinator::line_diff(newest->second, *content)}}));
    }
    return print_diff(
        newest->second, *content,
        "scope " + scope + ": version " + std::to_string(newest->first) + " → " + file);
  }
  std::string query;
  if (from != 0) query += "?from=" + std::to_string(from);
  if (to != 0) query += (query.empty() ? "?to=" : "&to=") + std::to_string(to);
  const Result<Json> answer = coordinator_->get(path("/diff") + query);
  if (!answer.ok()) return fail_cluster(answer.status());
  if (format == "json") return print(pretty(*answer));
  const std::string changes = text(*answer, "diff");
  const std::string title = "scope " + scope + ": version " +
                            std::to_string(number(*answer, "from")) + " → " +
                            std::to_string(number(*answer, "to"));
  return print(changes.empty() ? title + ": no difference\n" : title + "\n" + changes);
}

int Versions::conflict(const Status& status, uint64_t seen) {
  if (error_kind(status) != ErrorKind::kOperational) return fail_cluster(status);
  const auto newest = version(0);
  if (!newest.ok() || newest->first == seen) return fail_cluster(status);
  return fail(kQueryFailed,
              "version " + std::to_string(newest->first) + " of scope '" + scope +
                  "' was made meanwhile and yours is based on " + std::to_string(seen) +
                  "; nothing was changed. 'cenote config history' says by whom, 'cenote config "
                  "diff " +
                  (file.empty() ? "" : file) + "' what differs; then apply again");
}

int Versions::apply() {
  const Result<std::string> content = content_of_file();
  if (!content.ok()) return fail(content.status());
  if (const Status valid = validated(*content); !valid.ok()) return fail_cluster(valid);
  const auto newest = version(0);
  if (!newest.ok()) return fail_cluster(newest.status());
  uint64_t based_on = newest->first;
  if (!if_match.empty()) {
    const Result<int64_t> given = parse_integer(if_match);
    if (!given.ok() || *given < 0) return fail(kUsage, "--if-match is a version, as 7");
    based_on = static_cast<uint64_t>(*given);
  }
  const std::string changes = coordinator::line_diff(newest->second, *content);
  const std::string title =
      "scope " + scope + ": version " + std::to_string(newest->first) + " → " + file;
  if (changes.empty() && newest->first != 0) return print(title + ": no difference\n");
  if (format != "json") {
    if (const int code = print(title + "\n" + changes); code != kOk) return code;
  }
  if (const int code = confirm("Apply this?", yes, stop_); code != kOk) return code;
  const Result<Json> entry = coordinator_->change("PUT", path(), Json{{"content", *content}},
                                                  "\"" + std::to_string(based_on) + "\"");
  if (!entry.ok()) return conflict(entry.status(), based_on);
  return done(*entry, "was made");
}

int Versions::rollback() {
  const auto newest = version(0);
  if (!newest.ok()) return fail_cluster(newest.status());
  const uint64_t wanted = to != 0 ? to : newest->first < 2 ? 0 : newest->first - 1;
  if (wanted == 0 || wanted >= newest->first) {
    return fail(kQueryFailed, "scope '" + scope + "' is at version " +
                                  std::to_string(newest->first) + "; there is no older version" +
                                  (to == 0 ? "" : " " + std::to_string(to)) + " to go back to");
  }
  const auto old = version(wanted);
  if (!old.ok()) return fail_cluster(old.status());
  if (format != "json") {
    const int code = print_diff(newest->second, old->second,
                                "scope " + scope + ": version " + std::to_string(newest->first) +
                                    " → " + std::to_string(newest->first + 1) +
                                    ", the content of version " + std::to_string(wanted));
    if (code != kOk) return code;
  }
  if (const int code = confirm("Go back, on all nodes at once?", yes, stop_); code != kOk) {
    return code;
  }
  const Result<Json> entry = coordinator_->change("POST", path("/rollback"), Json{{"to", wanted}});
  if (!entry.ok()) return fail_cluster(entry.status());
  return done(*entry, "has the content of version " + std::to_string(wanted));
}

int Versions::done(const Json& entry, const std::string& verb) {
  const uint64_t made = number(entry, "version");
  const int code = print(format == "json" ? pretty(entry)
                                          : "version " + std::to_string(made) + " of scope '" +
                                                scope + "' " + verb + "; the nodes take it over\n");
  return code == kOk && wait ? wait_for_rollout(made) : code;
}

int Versions::wait_for_rollout(uint64_t made) {
  const Result<Duration> limit = limit_from("--wait-limit", wait_limit);
  if (!limit.ok()) return fail_cluster(limit.status());
  const Deadline deadline = Deadline::in(*limit);
  Mutex mutex;
  std::condition_variable_any never;
  for (std::string told;;) {
    const Result<Json> rollout = coordinator_->get("/v1/rollouts/" + url_encode(scope));
    if (!rollout.ok()) return fail_cluster(rollout.status());
    const std::string stage = text(*rollout, "stage");
    const uint64_t now_at = number(*rollout, "version");
    if (now_at != made || stage == "rolled_back") {
      const std::string why = text(*rollout, "reason");
      return fail(kQueryFailed, "version " + std::to_string(made) + " was not kept" +
                                    (why.empty() ? "" : ": " + why) +
                                    "; 'cenote config history' says what came after it");
    }
    if (stage == "done") {
      return print(format == "json" ? "" : "every node has version " + std::to_string(made) + "\n");
    }
    const auto nodes = rollout->find("nodes");
    if (nodes != rollout->end() && nodes->empty()) {
      return print(format == "json" ? "" : "no node is there yet to take it over\n");
    }
    if (stage != told && format != "json") std::fprintf(stderr, "stage: %s\n", stage.c_str());
    told = stage;
    if (deadline.passed()) {
      return fail(kPoolTimedOut, "version " + std::to_string(made) + " is still on its way (" +
                                     stage + "); it goes on, see 'cenote status'");
    }
    Lock lock(mutex);
    never.wait_until(lock, stop_, Deadline::in(kLook).sooner(deadline).at(), [] { return false; });
    if (stop_.stop_requested())
      return fail(kInterrupted, "not waiting longer; the roll-out goes on");
  }
}

int Versions::history() {
  const Result<Json> answer = coordinator_->get(path("/history"));
  if (!answer.ok()) return fail_cluster(answer.status());
  if (format == "json") return print(pretty(*answer));
  const auto versions = answer->find("versions");
  std::vector<std::vector<std::string>> rows;
  if (versions != answer->end() && versions->is_array()) {
    for (const Json& each : *versions) {
      rows.push_back({std::to_string(number(each, "version")), text(each, "at"), text(each, "who"),
                      text(each, "action"), text(each, "reason"),
                      text(each, "hash").substr(0, 12)});
    }
  }
  if (rows.empty()) {
    return print("scope '" + scope +
                 "' has no configuration yet; 'cenote config apply FILE' makes "
                 "the first version\n");
  }
  return print(
      print_texts({"version", "at", "by", "how", "why", "sha256"}, rows, terminal_width()));
}

CLI::App* add(CLI::App& config, const char* name, const char* about, Command* command,
              int (Versions::*what)(), std::shared_ptr<Versions>* out) {
  auto versions = std::make_shared<Versions>();
  CLI::App* verb = config.add_subcommand(name, about);
  verb->add_option("--scope", versions->scope, "Whose configuration")
      ->type_name("NAME")
      ->capture_default_str();
  verb->add_option("-o,--output", versions->format, "Format")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  versions->cluster.add_options(*verb);
  verb->callback(
      [versions, command, what] { *command = [versions, what] { return versions->run(what); }; });
  *out = std::move(versions);
  return verb;
}

void add_change(CLI::App& verb, Versions& versions) {
  verb.add_flag("-y,--yes", versions.yes, "Do not ask");
  CLI::Option* wait =
      verb.add_flag("--wait", versions.wait, "Return once every node has it, or it was taken back");
  verb.add_option("--wait-limit", versions.wait_limit, "Longest time to wait; 0: no limit")
      ->type_name("DURATION")
      ->needs(wait)
      ->capture_default_str();
}

}  // namespace

void add_config_versions(CLI::App& config, Command* command) {
  std::shared_ptr<Versions> of;
  CLI::App* verb = add(config, "diff", "Show what a file, or a version, would change", command,
                       &Versions::diff, &of);
  CLI::Option* file = verb->add_option("file", of->file,
                                       "File to compare with the newest version; "
                                       "without it, versions are compared");
  file->type_name("FILE");
  verb->add_option("--from", of->from, "The older version; the one before by default")
      ->type_name("VERSION");
  verb->add_option("--to", of->to, "The newer version; the newest by default")
      ->type_name("VERSION")
      ->excludes(file);
  verb = add(config, "apply",
             "Check a file, show what changes, and make it the newest version for all nodes",
             command, &Versions::apply, &of);
  verb->add_option("file", of->file, "The new configuration")->type_name("FILE")->required();
  verb->add_option("--if-match", of->if_match,
                   "Only if this is the newest version; the one shown by default")
      ->type_name("VERSION");
  add_change(*verb, *of);
  add(config, "history", "List the versions: when, by whom, why", command, &Versions::history, &of);
  verb = add(config, "rollback", "Make the content of an older version the newest", command,
             &Versions::rollback, &of);
  verb->add_option("version", of->to, "The version; the one before the newest by default")
      ->type_name("VERSION");
  add_change(*verb, *of);
}

}  // namespace cenote::cli
