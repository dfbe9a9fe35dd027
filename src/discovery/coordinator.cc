// The client's side of /v1/nodes, /v1/watch and /v1/config.
#include "discovery/coordinator.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/json.h"
#include "base/log.h"
#include "base/sha256.h"
#include "cluster/wire.h"
#include "discovery/backoff.h"
#include "discovery/handed_on.h"
#include "net/sse.h"

namespace cenote::discovery {
namespace {

using cluster::View;

Status unexpected(const HttpAnswer& answer, const std::string& what) {
  std::string why = answer.body.substr(0, 300);
  const Result<Json> problem = parse_json(answer.body);
  if (problem.ok() && problem->is_object()) {
    const auto detail = problem->find("detail");
    if (detail != problem->end() && detail->is_string()) why = detail->get<std::string>();
  }
  const bool refused = answer.status == 401 || answer.status == 403;
  return make_error(refused ? ErrorKind::kAuthentication : ErrorKind::kOperational,
                    what + ": the coordinator answered " + std::to_string(answer.status) + ": " +
                        why + (refused ? "; check coordinator.token" : ""));
}

// Of a coordinator that stands by: read from the store, which does not know who lives.
bool is_stale(const HttpAnswer& answer) {
  return answer.headers.contains("cenote-stale");
}

// One connection to whichever coordinator leads; a failed call moves on to the next.
class Link {
 public:
  explicit Link(const CoordinatorOptions& options) : options_(options) {}

  Result<HttpAnswer> call(const std::stop_token& stop, HttpCall request) {
    ARROW_ASSIGN_OR_RAISE(HttpClient * client, this->client());
    const CallContext context{Deadline::in(options_.call_timeout), stop};
    if (!request.body.empty()) request.headers["content-type"] = "application/json";
    Result<HttpAnswer> answer = client->send(context, request);
    // Not the leader: it says who is. What it tells of the store is not what the leader knows.
    const bool led = answer.ok() && answer->status != 307 && !is_stale(*answer);
    if (answer.ok() && !led) return follow(context, request, std::move(*answer));
    if (!answer.ok() || answer->status >= 500) next();
    return answer;
  }

  Result<HttpAnswer> stream(const std::stop_token& stop, const HttpCall& request,
                            const std::function<bool(std::string_view)>& take) {
    ARROW_ASSIGN_OR_RAISE(HttpClient * client, this->client());
    Result<HttpAnswer> answer = client->stream({Deadline(), stop}, request, options_.silence, take);
    if (!answer.ok() || answer->status >= 500) next();
    return answer;
  }

 private:
  Result<HttpClient*> client() {
    if (client_ == nullptr) {
      HttpClientOptions options;
      options.url = options_.endpoints[at_ % options_.endpoints.size()];
      options.token = options_.token;
      options.tls = options_.tls;
      ARROW_ASSIGN_OR_RAISE(client_, HttpClient::make(std::move(options)));
    }
    return client_.get();
  }
  void next() {
    ++at_;
    client_.reset();
  }
  Result<HttpAnswer> follow(const CallContext& context, const HttpCall& request,
                            HttpAnswer answer) {
    const auto leader = answer.headers.find(answer.status == 307 ? "location" : "cenote-leader");
    // Only another of our own endpoints: a redirect never leads elsewhere with our token.
    for (size_t i = 0; leader != answer.headers.end() && i < options_.endpoints.size(); ++i) {
      if (!(leader->second + "/").starts_with(options_.endpoints[i] + "/")) continue;
      at_ = i;
      client_.reset();
      ARROW_ASSIGN_OR_RAISE(HttpClient * client, this->client());
      Result<HttpAnswer> followed = client->send(context, request);
      if (!followed.ok() || followed->status >= 500) next();
      return followed;
    }
    next();
    return answer;
  }

  const CoordinatorOptions& options_;
  size_t at_ = std::random_device{}();
  std::unique_ptr<HttpClient> client_;
};

class CoordinatorDiscovery final : public ServiceDiscovery {
 public:
  explicit CoordinatorDiscovery(CoordinatorOptions options)
      : options_(std::move(options)), probe_options_(options_) {
    probe_options_.call_timeout = kProbe;
  }

  void watch(const std::stop_token& stop, Watcher& watcher) override {
    Link link(options_);
    Backoff backoff;
    while (!stop.stop_requested()) {
      const Status status = list_and_follow(stop, link, watcher, backoff);
      if (stop.stop_requested()) return;
      if (!status.ok()) watcher.failed(status);
      backoff.wait(stop);
    }
  }

  void serve(const std::stop_token& stop, Member& member) override {
    Link link(options_);
    Backoff backoff;
    while (!stop.stop_requested()) {
      const Status status = register_and_renew(stop, link, member, backoff);
      if (stop.stop_requested()) break;
      member.renewed(status);
      backoff.wait(stop);
    }
    leave(link, member);
  }

  void tell_refused(const std::stop_token& stop, std::string_view node_id) override {
    Link link(options_);
    (void)link.call(stop, {"POST", "/v1/nodes/" + url_encode(node_id) + "/refused", {}, ""});
  }

  Status probe(const std::stop_token& stop) override {
    if (probe_link_ == nullptr) probe_link_ = std::make_unique<Link>(probe_options_);
    ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer,
                          probe_link_->call(stop, {"GET", "/healthz", {}, ""}));
    return answer.status < 500 ? Status::OK() : unexpected(answer, "asking how it is");
  }

 private:
  struct Lease {
    uint64_t number = 0;
    Duration heartbeat = std::chrono::seconds(1);
    bool hashes = false;  // the coordinator takes them in heartbeats
  };

  // OK: the list is due again.
  Status list_and_follow(const std::stop_token& stop, Link& link, Watcher& watcher,
                         Backoff& backoff) const {
    ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, link.call(stop, {"GET", "/v1/nodes", {}, ""}));
    if (answer.status != 200) return unexpected(answer, "listing nodes");
    if (is_stale(answer)) {
      return make_error(ErrorKind::kOperational,
                        "listing nodes: a coordinator that stands by knows no leader among "
                        "coordinator.endpoint; name all of them there, as they are advertised");
    }
    ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(answer.body));
    ARROW_ASSIGN_OR_RAISE(const cluster::Snapshot snapshot, cluster::snapshot_from(value));
    if (watcher.list(snapshot) == View::Next::kList) return Status::OK();
    backoff.reset();

    SseParser parser;
    Status broken;
    std::vector<SseEvent> events;
    const auto take = [&](std::string_view piece) {
      events.clear();
      if (!parser.feed(piece, &events)) {
        broken = make_error(ErrorKind::kData, "an event of the coordinator has no end");
        return false;
      }
      for (const SseEvent& event : events) {
        const Result<View::Next> next = apply(event, watcher);
        if (next.ok() && *next == View::Next::kGoOn) continue;
        broken = next.status();
        return false;
      }
      return true;
    };
    const std::string from =
        std::to_string(snapshot.term) + "." + std::to_string(snapshot.revision);
    ARROW_ASSIGN_OR_RAISE(const HttpAnswer ended,
                          link.stream(stop, {"GET", "/v1/watch?from=" + from, {}, ""}, take));
    if (ended.status != 200 && ended.status != 410) return unexpected(ended, "watching nodes");
    return broken;
  }

  static Result<View::Next> apply(const SseEvent& event, Watcher& watcher) {
    if (event.event == "reset") return View::Next::kList;
    if (event.event != "change" && event.event != "bookmark") return View::Next::kGoOn;
    ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(event.data));
    JsonReader reader(value);
    std::string cluster;
    uint64_t term = 0;
    uint64_t revision = 0;
    reader.get("cluster", &cluster);
    reader.get("term", &term);
    reader.get("revision", &revision);
    ARROW_RETURN_NOT_OK(reader.finish(true));
    if (event.event == "bookmark") return watcher.bookmark(cluster, term, revision);
    ARROW_ASSIGN_OR_RAISE(const cluster::Change change, cluster::change_from(value));
    return watcher.change(cluster, term, change);
  }

  static std::string path_of(const cluster::Registration& about, const std::string& what) {
    return "/v1/nodes/" + url_encode(about.node_id) + what;
  }

  // Ends when the lease is lost, or with what went wrong.
  Status register_and_renew(const std::stop_token& stop, Link& link, Member& member,
                            Backoff& backoff) {
    const cluster::Registration about = member.about();
    ARROW_ASSIGN_OR_RAISE(
        const HttpAnswer answer,
        link.call(stop, {"POST", "/v1/nodes", {}, cluster::to_json(about).dump()}));
    if (answer.status != 200 && answer.status != 201) return unexpected(answer, "registering");
    Lease lease;
    ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(answer.body));
    JsonReader reader(value);
    int heartbeat_ms = 1000;
    reader.get("lease", &lease.number);
    reader.maybe("heartbeat_ms", &heartbeat_ms);
    reader.maybe("config_hashes", &lease.hashes);
    ARROW_RETURN_NOT_OK(reader.finish(true));
    lease.heartbeat = std::chrono::milliseconds(std::clamp(heartbeat_ms, 100, 60'000));
    backoff.reset();
    return renew(stop, link, member, about, lease);
  }

  Status renew(const std::stop_token& stop, Link& link, Member& member,
               const cluster::Registration& about, const Lease& lease) {
    std::minstd_rand random(std::random_device{}());
    std::uniform_real_distribution<double> jitter(0.9, 1.1);
    TimePoint metrics_due = Clock::now();
    int failures = 0;
    while (!stop.stop_requested()) {
      const Status status = beat(stop, link, member, about, lease);
      // A lost lease is taken anew at once; a coordinator that does not answer is given some beats.
      if (error_kind(status) == ErrorKind::kInterface && !status.ok()) return status;
      failures = status.ok() ? 0 : failures + 1;
      if (stop.stop_requested()) break;
      member.renewed(status);
      if (failures >= 3) return status;
      if (status.ok() && Clock::now() >= metrics_due) {
        const std::string body = cluster::to_json(member.metrics()).dump();
        (void)link.call(stop, {"PUT", path_of(about, "/metrics"), {}, body});
        metrics_due = Clock::now() + options_.metrics_interval;
      }
      const auto wait = static_cast<double>(lease.heartbeat.count()) * jitter(random);
      pause(stop, Duration(static_cast<int64_t>(wait)));
    }
    return Status::OK();
  }

  // kInterface: the lease is gone.
  Status beat(const std::stop_token& stop, Link& link, Member& member,
              const cluster::Registration& about, const Lease& lease) {
    cluster::Heartbeat beat;
    member.fill(&beat);
    beat.node_id = about.node_id;
    beat.incarnation = about.incarnation;
    beat.lease = lease.number;
    beat.seq = ++seq_;
    handed_on_.name(&beat);
    const cluster::ConfigId applied = beat.applied();
    const cluster::ConfigId rejected = beat.rejected();
    if (!lease.hashes) beat.config_hash = beat.config_rejected_hash = "";
    ARROW_ASSIGN_OR_RAISE(
        const HttpAnswer answer,
        link.call(stop, {"PUT", path_of(about, "/heartbeat"), {}, cluster::to_json(beat).dump()}));
    if (answer.status == 404) {
      return make_error(ErrorKind::kInterface, "the coordinator does not know our lease any more");
    }
    // An older coordinator that took over refuses keys that it does not know.
    if (answer.status == 422 && lease.hashes) {
      return make_error(ErrorKind::kInterface, "another coordinator leads; registering again");
    }
    if (answer.status != 200) return unexpected(answer, "renewing the lease");
    ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(answer.body));
    JsonReader reader(value);
    cluster::ConfigId wanted;
    bool draining = false;
    uint64_t term = 0;
    uint64_t revision = 0;
    reader.maybe("config_version", &wanted.version);
    reader.maybe("config_hash", &wanted.hash);
    reader.maybe("draining", &draining);
    reader.maybe("term", &term);
    reader.maybe("revision", &revision);
    ARROW_RETURN_NOT_OK(reader.finish(true));
    member.set_draining(draining);
    if (term != 0) member.seen_at(term, revision);
    const bool news = wanted.version != 0 && !same(wanted, applied) && !same(wanted, rejected);
    return news ? take_config(stop, link, member, beat.config_scope, wanted) : Status::OK();
  }

  Status take_config(const std::stop_token& stop, Link& link, Member& member,
                     const std::string& scope, const cluster::ConfigId& wanted) {
    const std::string version = std::to_string(wanted.version);
    const std::string path = "/v1/config/" + url_encode(scope) + "/versions/" + version;
    ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, link.call(stop, {"GET", path, {}, ""}));
    if (answer.status != 200) return unexpected(answer, "reading the configuration");
    ARROW_ASSIGN_OR_RAISE(const Json value, parse_json(answer.body));
    JsonReader reader(value);
    std::string content;
    reader.get("content", &content);
    ARROW_RETURN_NOT_OK(reader.finish(true));
    const Status applied = member.apply_config(wanted.version, content);
    handed_on_.note({wanted.version, sha256(content)}, applied.ok());
    if (!applied.ok()) {
      log(LogLevel::kWarning, "discovery",
          "configuration " + version + " was refused: " + applied.message());
    }
    return Status::OK();
  }

  void leave(Link& link, Member& member) const {
    const cluster::Registration about = member.about();
    const std::string query = "?incarnation=" + std::to_string(about.incarnation);
    // A short word on the way out; the lease ends by itself if nobody hears it.
    (void)link.call({}, {"DELETE", path_of(about, query), {}, ""});
  }

  const CoordinatorOptions options_;
  CoordinatorOptions probe_options_;  // not changed once made
  uint64_t seq_ = 0;                  // of the serving thread
  HandedOn handed_on_;                // of the serving thread
  std::unique_ptr<Link> probe_link_;  // of the probing thread
};

// Reports under a name of its own making: a client has no other.
class CoordinatorMetrics final : public MetricsSink {
 public:
  explicit CoordinatorMetrics(CoordinatorOptions options)
      : options_(std::move(options)), link_(options_) {
    std::random_device random;
    for (int i = 0; i < 2; ++i) process_ += "-" + std::to_string(random());
  }

  Status put(const std::stop_token& stop, const cluster::MetricsReport& report) override {
    const HttpCall call{"PUT", "/v1/clients/" + process_ + "/metrics", {}, to_json(report).dump()};
    ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, link_.call(stop, call));
    return answer.status == 200 ? Status::OK() : unexpected(answer, "reporting metrics");
  }

 private:
  const CoordinatorOptions options_;
  Link link_;
  std::string process_ = "client";
};

Status check(CoordinatorOptions* options) {
  if (options->endpoints.empty()) {
    return make_error(ErrorKind::kConfig,
                      "coordinator.endpoint is missing; write for example http://coordinator:8080");
  }
  for (std::string& endpoint : options->endpoints) {
    while (endpoint.ends_with('/')) endpoint.pop_back();
    HttpClientOptions checked;
    checked.url = endpoint;
    checked.tls = options->tls;
    ARROW_RETURN_NOT_OK(HttpClient::make(std::move(checked)).status());
  }
  return Status::OK();
}

}  // namespace

Result<std::unique_ptr<ServiceDiscovery>> coordinator_discovery(CoordinatorOptions options) {
  ARROW_RETURN_NOT_OK(check(&options));
  return std::make_unique<CoordinatorDiscovery>(std::move(options));
}

Result<std::unique_ptr<MetricsSink>> coordinator_metrics(CoordinatorOptions options) {
  ARROW_RETURN_NOT_OK(check(&options));
  return std::make_unique<CoordinatorMetrics>(std::move(options));
}

}  // namespace cenote::discovery
