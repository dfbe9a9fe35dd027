// Where the coordinator is, the calls, and their refusals in an operator's words.
#include "cli/cluster.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <utility>

#include <CLI/CLI.hpp>
#include <poll.h>
#include <unistd.h>

#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/values.h"
#include "cluster/wire.h"

namespace cenote::cli {
namespace {

constexpr const char* kDefaultConfig = "cenote.yaml";
constexpr const char* kTokenVariable = "CENOTE_TOKEN";

struct Token {
  std::string value;
  std::string source;
};

Result<Token> token_of(const ClusterOptions& options, const CoordinatorAccess& access) {
  Token token;
  if (!options.token_file.empty()) {
    std::ifstream file(options.token_file, std::ios::binary);
    token.value.assign(std::istreambuf_iterator<char>(file), {});
    token.source = "--token-file " + options.token_file;
    if (!file.is_open() || file.bad()) {
      return make_error(ErrorKind::kConfig, token.source + ": the file cannot be read");
    }
    while (!token.value.empty() &&
           std::string_view("\r\n \t").find(token.value.back()) != std::string_view::npos) {
      token.value.pop_back();
    }
    if (token.value.empty()) {
      return make_error(ErrorKind::kConfig, token.source + ": the file is empty");
    }
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing writes the environment
  } else if (const char* given = std::getenv(kTokenVariable); given != nullptr && *given != '\0') {
    token = {given, kTokenVariable};
  } else if (!access.token.empty()) {
    token = {access.token, "the configuration"};
  }
  for (const char c : token.value) {
    if (c > 0x20 && c < 0x7F) continue;
    return make_error(
        ErrorKind::kConfig,
        "the token of " + token.source + " has blanks or control characters; it must be one word");
  }
  return token;
}

// Random enough that no two changes of the world share it.
std::string new_key() {
  std::random_device random;
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "cli-%08x%08x%08x%08x", random(), random(), random(),
                random());
  return text.data();
}

std::string detail_of(const HttpAnswer& answer) {
  const Result<Json> problem = parse_json(answer.body);
  if (!problem.ok() || !problem->is_object()) return "status " + std::to_string(answer.status);
  const auto detail = problem->find("detail");
  return detail != problem->end() && detail->is_string()
             ? detail->get<std::string>()
             : "status " + std::to_string(answer.status);
}

}  // namespace

void ClusterOptions::add_access(CLI::App& verb) {
  verb.add_option("--coordinator", url, "URL of the coordinator, as http://127.0.0.1:8080")
      ->type_name("URL");
  verb.add_option("--token-file", token_file,
                  "File that holds the token; else $CENOTE_TOKEN, else the configuration's")
      ->type_name("FILE");
  verb.add_option("--ca", tls.ca_file,
                  "Authority that signed the coordinator's certificate, PEM; else the system's")
      ->type_name("FILE");
  CLI::Option* certificate = verb.add_option("--certificate", tls.certificate_file,
                                             "Own certificate, PEM, where asked for")
                                 ->type_name("FILE");
  CLI::Option* key =
      verb.add_option("--key", tls.key_file, "The certificate's key, PEM")->type_name("FILE");
  certificate->needs(key);
  key->needs(certificate);
}

void ClusterOptions::add_options(CLI::App& verb) {
  verb.add_option("-c,--config", config,
                  "Configuration whose deployment says where; cenote.yaml here if "
                  "neither is given")
      ->type_name("FILE");
  add_access(verb);
  verb.add_option("--timeout", timeout, "Longest time of a call to the coordinator; 0: no limit")
      ->type_name("DURATION")
      ->capture_default_str();
  verb.footer(
      "The token has no option of its own: a command line is seen by every user of the machine\n"
      "(ps, /proc) and kept in the shell's history. Give it by --token-file, in the variable\n"
      "CENOTE_TOKEN, or as deployment.coordinator.token of the configuration.");
}

Result<Cluster> Cluster::open(const ClusterOptions& options, std::stop_token stop) {
  DeploymentConfig config;
  std::error_code ignored;
  std::string file = options.config;
  if (file.empty() && options.url.empty()) {
    if (!std::filesystem::exists(kDefaultConfig, ignored)) {
      return make_error(ErrorKind::kConfig,
                        "which cluster? give --coordinator http://host:8080, or -c with a "
                        "configuration file (there is no cenote.yaml here)");
    }
    file = kDefaultConfig;
  }
  if (!file.empty()) {
    ARROW_ASSIGN_OR_RAISE(config, load_config(file));
    if (config.mode != DeploymentMode::kFullDistributed && config.coordinator.endpoints.empty() &&
        options.url.empty()) {
      return make_error(ErrorKind::kConfig,
                        file +
                            ": names no coordinator; write deployment: {mode: coordinated, "
                            "coordinator: {endpoint: \"http://host:8080\"}}, or give "
                            "--coordinator URL");
    }
  }
  return open(options, std::move(config), std::move(stop));
}

Result<Cluster> Cluster::open(const ClusterOptions& options, DeploymentConfig config,
                              std::stop_token stop) {
  Cluster cluster;
  cluster.stop_ = std::move(stop);
  if (config.mode == DeploymentMode::kFullDistributed && options.url.empty()) {
    ARROW_ASSIGN_OR_RAISE(cluster.store_, StoreGateway::open(std::move(config)));
    return cluster;
  }
  const CoordinatorAccess& access = config.coordinator;
  ARROW_ASSIGN_OR_RAISE(cluster.timeout_, limit_from("--timeout", options.timeout));
  ARROW_ASSIGN_OR_RAISE(Token token, token_of(options, access));
  cluster.token_source_ = token.source;
  const auto either = [](const std::string& said, const std::string& configured) {
    return said.empty() ? configured : said;
  };
  const std::vector<std::string> urls =
      options.url.empty() ? access.endpoints : std::vector{options.url};
  for (const std::string& url : urls) {
    HttpClientOptions how;
    how.url = url;
    how.token = token.value;
    how.max_body = size_t{1} << 30;  // of a backup
    how.tls.ca_file = either(options.tls.ca_file, access.tls.ca);
    how.tls.certificate_file = either(options.tls.certificate_file, access.tls.certificate);
    how.tls.key_file = either(options.tls.key_file, access.tls.key);
    ARROW_ASSIGN_OR_RAISE(auto client, HttpClient::make(std::move(how)));
    cluster.clients_.push_back(std::move(client));
  }
  return cluster;
}

Status Cluster::refusal(const HttpAnswer& answer) const {
  const std::string detail = detail_of(answer);
  const std::string where = url() + ": ";
  switch (answer.status) {
    case 401:
      return make_error(
          ErrorKind::kAuthentication,
          token_source_.empty()
              ? where +
                    "the coordinator wants a token; put an operator's into a file and name "
                    "it with --token-file, or set CENOTE_TOKEN"
              : where + "the coordinator does not know the token of " + token_source_ +
                    ", or it has expired; ask an operator for another");
    case 403:
      return make_error(
          ErrorKind::kAuthentication,
          where + detail + "; use a token with the role operator (of " + token_source_ + " now)");
    case 307:
      return make_error(ErrorKind::kOperational,
                        where + detail +
                            "; name it with --coordinator, or all of them as "
                            "deployment.coordinator.endpoint");
    case 404:
      return make_error(ErrorKind::kUnknownPool, where + detail);
    case 422:
      return make_error(ErrorKind::kConfig, detail);
    case 429:
    case 503:
      return make_error(ErrorKind::kOverload, where + detail);
    default:
      return make_error(ErrorKind::kOperational, where + detail);
  }
}

Status Cluster::unreachable(const Status& why) const {
  const ErrorDetail* detail = error_detail(why);
  const std::string& message = why.message();
  if (detail == nullptr || error_kind(why) == ErrorKind::kCancelled) return why;
  std::string advice;
  if (message.find("certificate") != std::string::npos) {
    advice = "; name the authority that signed its certificate with --ca";
  } else if (detail->sent == Sent::kMaybe && error_kind(why) == ErrorKind::kConnection) {
    advice = "; if it speaks TLS, write https://";
  } else {
    advice = "; is the coordinator running there? Nodes and clients go on without it";
  }
  ErrorDetail told = *detail;
  return make_error(std::move(told), message + advice);
}

bool Cluster::go_to_leader(const HttpAnswer& answer) {
  const auto leader = answer.headers.find(answer.status == 307 ? "location" : "cenote-leader");
  if (leader == answer.headers.end()) return false;
  // Only to one that was named: the token goes nowhere else.
  for (size_t i = 0; i < clients_.size(); ++i) {
    if (i == current_ || !(leader->second + "/").starts_with(clients_[i]->url() + "/")) continue;
    current_ = i;
    return true;
  }
  return false;
}

Result<std::string> Cluster::send(const HttpCall& call) {
  Status last;
  // One more than there are: who stands by tells who leads.
  for (size_t tried = 0; tried <= clients_.size(); ++tried) {
    const CallContext context{Deadline::in(timeout_), stop_};
    Result<HttpAnswer> answer = clients_[current_]->send(context, call);
    if (answer.ok()) {
      const bool more = tried < clients_.size();
      if (more && go_to_leader(*answer)) continue;
      if (answer->status == 307) return refusal(*answer);
      if (answer->status >= 400) {
        last = refusal(*answer);
        // Nobody leads yet, as far as this one knows.
        if (answer->status != 503 || !more || clients_.size() == 1) return last;
        current_ = (current_ + 1) % clients_.size();
        continue;
      }
      if (answer->headers.contains("cenote-stale")) {
        std::fprintf(stderr, "cenote: %s stands by: what it says may be old\n", url().c_str());
      }
      return answer->body;
    }
    last = unreachable(answer.status());
    const ErrorDetail* detail = error_detail(answer.status());
    if (detail == nullptr || detail->sent != Sent::kNo || stop_.stop_requested()) break;
    current_ = (current_ + 1) % clients_.size();
  }
  return last;
}

Result<Json> Cluster::get(std::string_view target) {
  if (store_ != nullptr) return store_->get(stop_, target);
  HttpCall call;
  call.target = target;
  ARROW_ASSIGN_OR_RAISE(const std::string body, send(call));
  return parse_json(body);
}

Result<std::string> Cluster::bytes(std::string_view method, std::string_view target) {
  if (store_ != nullptr) {
    return make_error(ErrorKind::kNotSupported,
                      "this needs a coordinator; the cluster meets in a store (mode distributed), "
                      "which has tools of its own (etcdctl snapshot, consul snapshot)");
  }
  HttpCall call;
  call.method = method;
  call.target = target;
  return send(call);
}

Result<Json> Cluster::change(std::string_view method, std::string_view target, const Json& body,
                             const std::string& if_match) {
  if (store_ != nullptr) return store_->change(stop_, method, target, body, if_match);
  HttpCall call;
  call.method = method;
  call.target = target;
  call.headers["Idempotency-Key"] = new_key();
  if (!if_match.empty()) call.headers["If-Match"] = if_match;
  if (!body.is_null()) {
    call.headers["Content-Type"] = "application/json";
    call.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  Result<std::string> answer = send(call);
  const ErrorDetail* detail = answer.ok() ? nullptr : error_detail(answer.status());
  const bool lost = detail != nullptr && detail->sent == Sent::kMaybe && !stop_.stop_requested() &&
                    detail->kind == ErrorKind::kConnection;
  if (lost) answer = send(call);
  if (!answer.ok()) return answer.status();
  return parse_json(*answer);
}

Result<cluster::Snapshot> Cluster::nodes() {
  ARROW_ASSIGN_OR_RAISE(const Json list, get("/v1/nodes"));
  return cluster::snapshot_from(list);
}

int fail_cluster(const Status& status) {
  switch (error_kind(status)) {
    case ErrorKind::kQueryTimeout:
      return fail(kPoolTimedOut, status.message());
    case ErrorKind::kUnknownPool:
      return fail(kQueryFailed, status.message());
    case ErrorKind::kInterface:
      return fail(kUsage, status.message());
    case ErrorKind::kCancelled:
      return fail(kInterrupted, "cancelled");
    default:
      return fail(status);
  }
}

int print(const std::string& text) {
  FdStream out(STDOUT_FILENO, "standard output", false);
  const Status written = out.Write(text);
  if (out.reader_went_away()) return kReaderWentAway;
  return written.ok() ? int{kOk} : fail(written);
}

int confirm(const std::string& question, bool yes, const std::stop_token& stop) {
  if (yes) return kOk;
  if (::isatty(STDIN_FILENO) != 1) {
    return fail(kUsage, question + " Nobody can answer here: add --yes");
  }
  std::fprintf(stderr, "%s [y/N] ", question.c_str());
  pollfd input{STDIN_FILENO, POLLIN, 0};
  constexpr int kLook = 100;  // milliseconds, since the signals arrive at another thread
  while (!stop.stop_requested() && ::poll(&input, 1, kLook) == 0) {
  }
  if (stop.stop_requested()) {
    std::fputc('\n', stderr);
    return fail(kInterrupted, "cancelled; nothing was changed");
  }
  std::array<char, 64> line{};
  const ssize_t got = ::read(STDIN_FILENO, line.data(), line.size());
  const std::string_view answer(line.data(), got > 0 ? static_cast<size_t>(got) : 0);
  if (answer.starts_with('y') || answer.starts_with('Y')) return kOk;
  return fail(kQueryFailed, "nothing was changed");
}

}  // namespace cenote::cli
