// Who may do what: every route for every role, odd paths, other methods, tokens that ended, TLS.
#include <cstdlib>
#include <fstream>

#include "coordinator/serving.h"
#include "net/raw_client.h"

namespace cenote::coordinator {
namespace {

using std::chrono::seconds;

struct Rule {
  const char* method;
  const char* path;
  const char* pattern;
  const char* roles;  // node, client, operator, viewer; "-": everybody, also without a token
};

// Written by hand, so that a row that lets too many in is seen here.
const Rule kRules[] = {
    {"POST", "/v1/nodes", "/v1/nodes", "n"},
    {"GET", "/v1/nodes", "/v1/nodes", "ncov"},
    {"PUT", "/v1/nodes/n9/heartbeat", "/v1/nodes/{id}/heartbeat", "n"},
    {"PUT", "/v1/nodes/n9/metrics", "/v1/nodes/{id}/metrics", "n"},
    {"PUT", "/v1/clients/c9/metrics", "/v1/clients/{id}/metrics", "nco"},
    {"POST", "/v1/nodes/n9/drain", "/v1/nodes/{id}/drain", "o"},
    {"POST", "/v1/nodes/n9/undrain", "/v1/nodes/{id}/undrain", "o"},
    {"POST", "/v1/nodes/n9/refused", "/v1/nodes/{id}/refused", "nco"},
    {"DELETE", "/v1/nodes/n9?incarnation=1", "/v1/nodes/{id}", "no"},
    {"GET", "/v1/watch", "/v1/watch", "ncov"},
    {"POST", "/v1/route", "/v1/route", "nco"},
    {"GET", "/v1/config/default", "/v1/config/{scope}", "nov"},
    {"PUT", "/v1/config/default", "/v1/config/{scope}", "o"},
    {"GET", "/v1/config/default/versions/1", "/v1/config/{scope}/versions/{version}", "nov"},
    {"GET", "/v1/config/default/history", "/v1/config/{scope}/history", "ov"},
    {"GET", "/v1/config/default/diff", "/v1/config/{scope}/diff", "ov"},
    {"POST", "/v1/config/default/validate", "/v1/config/{scope}/validate", "ov"},
    {"POST", "/v1/config/default/rollback", "/v1/config/{scope}/rollback", "o"},
    {"GET", "/v1/rollouts/default", "/v1/rollouts/{scope}", "ov"},
    {"POST", "/v1/rollouts/default/abort", "/v1/rollouts/{scope}/abort", "o"},
    {"GET", "/healthz", "/healthz", "-"},
    {"GET", "/readyz", "/readyz", "-"},
    {"GET", "/metrics", "/metrics", "ov"},
    {"GET", "/v1/summary", "/v1/summary", "ov"},
    {"GET", "/v1/audit", "/v1/audit", "ov"},
    {"GET", "/v1/audit/verify", "/v1/audit/verify", "ov"},
    {"GET", "/v1/tokens", "/v1/tokens", "o"},
    {"POST", "/v1/tokens", "/v1/tokens", "o"},
    {"DELETE", "/v1/tokens/none", "/v1/tokens/{name}", "o"},
    {"POST", "/v1/backup", "/v1/backup", "o"},
    {"GET", "/v1/openapi.json", "/v1/openapi.json", "-"},
};

class CoordinatorAuth : public Serving {
 protected:
  void SetUp() override {
    Serving::SetUp();
    options_.tokens = {
        {"node", "a secret of a node", TokenRole::kNode, "", ""},
        {"client", "a secret of a client", TokenRole::kClient, "", ""},
        {"operator", "a secret of an operator", TokenRole::kOperator, "", ""},
        {"viewer", "a secret of a viewer", TokenRole::kViewer, "", ""},
        {"n1", "a secret of node n1", TokenRole::kNode, "n1", ""},
        {"former", "a secret of former times", TokenRole::kOperator, "", "2020-01-31"},
    };
    start();
  }
  int status(const std::string& token, const std::string& method, const std::string& target,
             std::map<std::string, std::string> headers = {}) {
    HttpCall asked{method, target, std::move(headers), ""};
    const Result<HttpAnswer> answer = send(token, asked);
    EXPECT_TRUE(answer.ok()) << method << " " << target << ": " << answer.status();
    return answer.ok() ? answer->status : 0;
  }
  std::string token_of(char role) const {
    for (const CoordinatorToken& token : options_.tokens) {
      if (token.name.front() == role) return token.token;
    }
    return "";
  }
};

TEST_F(CoordinatorAuth, each_route_lets_in_its_roles_and_nobody_else) {
  std::set<std::string> listed;
  for (const Rule& rule : kRules) {
    listed.insert(std::string(rule.method) + " " + rule.pattern);
    const std::string roles = rule.roles;
    for (const char* wrong : {"", "a guess", "a secret of former times"}) {
      const int got = status(wrong, rule.method, rule.path);
      EXPECT_EQ(got, roles == "-" ? 200 : 401) << rule.method << " " << rule.path << ": " << wrong;
    }
    for (const char role : {'n', 'c', 'o', 'v'}) {
      const int got = status(token_of(role), rule.method, rule.path);
      const bool let_in = got != 401 && got != 403;
      const bool expected = roles == "-" || roles.find(role) != std::string::npos;
      EXPECT_EQ(let_in, expected) << rule.method << " " << rule.path << " " << role << ": " << got;
      if (std::string(rule.method) == "GET") {
        EXPECT_EQ(status(token_of(role), "HEAD", rule.path), got) << rule.path << " " << role;
      }
    }
  }
  std::set<std::string> served;
  for (const ApiRow& row : api_rows()) {
    served.insert(std::string(row.method) + " " + std::string(row.path));
  }
  EXPECT_EQ(listed, served) << "the table has every route";
}

TEST_F(CoordinatorAuth, an_odd_path_reaches_nothing_with_or_without_a_token) {
  for (const Rule& rule : kRules) {
    const std::string path = std::string(rule.path).substr(0, std::string(rule.path).find('?'));
    std::string upper = path;
    for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    std::string dotted = path;
    dotted.insert(dotted.rfind('/'), "/%2e");
    std::string climbed = path;
    climbed.insert(climbed.rfind('/'), "/x/..");
    for (const std::string& odd : {path + "/", "/" + path, upper, dotted, climbed, path + "/.",
                                   path + ";a=b", path + "%00", "/%76" + path.substr(2)}) {
      for (const char* token : {"", "a secret of an operator"}) {
        const int got = status(token, rule.method, odd);
        // A name in a path may be any word: it is then looked up, by who may.
        const bool named = std::string(rule.pattern).ends_with('}');
        EXPECT_TRUE(got == 404 || got == 405 || (named && got >= 400 && got < 500))
            << rule.method << " " << odd << ": " << got;
        if (*token == '\0' && named) {
          EXPECT_TRUE(got == 401 || got == 404 || got == 405) << odd << ": " << got;
        }
      }
    }
  }
}

TEST_F(CoordinatorAuth, no_method_and_no_header_gets_around_the_token) {
  for (const Rule& rule : kRules) {
    if (std::string(rule.roles) == "-") continue;
    for (const char* method : {"OPTIONS", "PATCH", "TRACE", "get", "FOO"}) {
      EXPECT_EQ(status("", method, rule.path), 405) << method << " " << rule.path;
    }
    for (const auto& [name, value] :
         std::map<std::string, std::string>{{"x-forwarded-for", "127.0.0.1"},
                                            {"x-original-url", "/healthz"},
                                            {"x-rewrite-url", "/healthz"},
                                            {"x-http-method-override", "GET"},
                                            {"user-agent", "cenote-coordinator"},
                                            {"authorization", "Basic b3BlcmF0b3I6"},
                                            {"authorization", "Bearer"},
                                            {"cookie", "token=a secret of an operator"}}) {
      EXPECT_EQ(status("", rule.method, rule.path, {{name, value}}), 401) << name;
    }
  }
}

TEST_F(CoordinatorAuth, a_body_is_not_read_from_who_may_not_send_it) {
  for (const char* token : {"a guess", "a secret of a viewer"}) {
    const RawClient raw(options_.listen);
    raw.send(std::string("PUT /v1/config/default HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ") +
             token + "\r\nContent-Length: 1000000\r\n\r\n");
    const std::string answer = raw.read_all();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 401") || answer.starts_with("HTTP/1.1 403")) << answer;
    EXPECT_NE(answer.find("application/problem+json"), std::string::npos) << answer;
  }
}

TEST_F(CoordinatorAuth, a_nodes_token_speaks_for_that_node_only) {
  token_ = "a secret of node n1";
  EXPECT_EQ(call("POST", "/v1/nodes", about("n2")).status, 403);
  const Answer registered = call("POST", "/v1/nodes", about("n1"));
  ASSERT_EQ(registered.status, 201);
  Json beat = {
      {"node_id", "n2"}, {"incarnation", 1}, {"lease", 1}, {"seq", 1}, {"pools", Json::array()}};
  EXPECT_EQ(call("PUT", "/v1/nodes/n2/heartbeat", beat).status, 403);
  EXPECT_EQ(call("DELETE", "/v1/nodes/n2?incarnation=1").status, 403);
  EXPECT_EQ(call("DELETE", "/v1/nodes/n1").status, 403) << "only an operator removes";
  EXPECT_EQ(call("DELETE", "/v1/nodes/n1?incarnation=1").status, 200);
}

TEST_F(CoordinatorAuth, a_token_is_told_once_and_kept_as_a_hash) {
  token_ = "a secret of an operator";
  const std::map<std::string, std::string> key = {{"idempotency-key", "k1"}};
  const Json asked = {{"name", "ci"}, {"role", "viewer"}};
  const Answer made = call("POST", "/v1/tokens", asked, key);
  ASSERT_EQ(made.status, 201) << made.text;
  const std::string secret = made.body["token"];
  EXPECT_EQ(call("POST", "/v1/tokens", asked).status, 409);
  EXPECT_FALSE(call("POST", "/v1/tokens", asked, key).body.contains("token"));
  EXPECT_EQ(status(secret, "GET", "/v1/summary"), 200);
  EXPECT_EQ(call("GET", "/v1/tokens").text.find(secret), std::string::npos);
  EXPECT_EQ(call("GET", "/v1/audit").text.find(secret), std::string::npos);
  restart();
  EXPECT_EQ(status(secret, "GET", "/v1/summary"), 200);
  stop();
  for (const auto& file : std::filesystem::directory_iterator(folder_)) {
    std::ifstream stream(file.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
    EXPECT_EQ(bytes.find(secret), std::string::npos) << file.path();
    EXPECT_EQ(bytes.find("a secret of"), std::string::npos) << file.path();
  }
  start();
  EXPECT_EQ(call("DELETE", "/v1/tokens/operator").status, 409) << "it stands in the file";
  EXPECT_EQ(call("DELETE", "/v1/tokens/ci").status, 200);
  EXPECT_EQ(status(secret, "GET", "/v1/summary"), 401);
}

TEST_F(CoordinatorAuth, taking_a_token_away_ends_its_watches) {
  token_ = "a secret of an operator";
  const std::string secret =
      call("POST", "/v1/tokens", Json{{"name", "c2"}, {"role", "client"}}).body["token"];
  const Json list = call("GET", "/v1/nodes").body;
  HttpClientOptions options;
  options.url = server_->url();
  options.token = secret;
  const auto client = *HttpClient::make(options);
  const std::string watch = "/v1/watch?from=" + list["term"].dump() + ".0";
  bool revoked = false;
  const Result<HttpAnswer> ended = client->stream(
      {Deadline::in(seconds(60)), {}}, {"GET", watch, {}, ""}, seconds(30), [&](std::string_view) {
        if (!revoked) {
          EXPECT_EQ(call("DELETE", "/v1/tokens/c2").status, 200);
        }
        revoked = true;
        return true;
      });
  ASSERT_TRUE(ended.ok()) << "the stream did not end by itself: " << ended.status();
  EXPECT_TRUE(revoked);
}

TEST_F(CoordinatorAuth, reloading_brings_new_tokens_and_ends_old_ones) {
  EXPECT_EQ(status("a secret of a viewer", "GET", "/v1/summary"), 200);
  CoordinatorServerOptions changed = options_;
  changed.tokens[3].token = "another secret of a viewer";
  ASSERT_TRUE(server_->reload(changed).ok());
  EXPECT_EQ(status("a secret of a viewer", "GET", "/v1/summary"), 401);
  EXPECT_EQ(status("another secret of a viewer", "GET", "/v1/summary"), 200);
  changed.tokens.resize(1);
  EXPECT_FALSE(server_->reload(changed).ok()) << "without an operator";
  EXPECT_EQ(status("another secret of a viewer", "GET", "/v1/summary"), 200);
}

TEST(CoordinatorExposure, an_address_that_others_reach_needs_tls_and_tokens) {
  CoordinatorServerOptions options;
  options.state = "/nowhere/state.db";
  const std::vector<CoordinatorToken> tokens = {
      {"admin", "a secret of an operator", TokenRole::kOperator, "", ""}};
  for (const char* listen : {"0.0.0.0:0", "[::]:0", "192.0.2.1:0"}) {
    options.listen = listen;
    options.tokens.clear();
    options.tls = {};
    auto refused = CoordinatorServer::start(options);
    EXPECT_NE(refused.status().message().find("without TLS and tokens"), std::string::npos);
    options.tokens = tokens;
    refused = CoordinatorServer::start(options);
    EXPECT_NE(refused.status().message().find("without TLS;"), std::string::npos);
    options.tokens.clear();
    options.tls = {"c.pem", "k.pem", ""};
    refused = CoordinatorServer::start(options);
    EXPECT_NE(refused.status().message().find("without tokens;"), std::string::npos);
  }
}

TEST(CoordinatorExposure, a_token_that_can_be_guessed_is_refused) {
  CoordinatorServerOptions options;
  options.listen = "127.0.0.1:0";
  options.state = "/nowhere/state.db";
  options.tokens = {{"admin", "short", TokenRole::kOperator, "", ""}};
  const auto refused = CoordinatorServer::start(options);
  EXPECT_NE(refused.status().message().find("openssl rand"), std::string::npos);
  EXPECT_EQ(refused.status().message().find("'short'"), std::string::npos);
}

// A small authority, made by the openssl program.
class CoordinatorTls : public Serving {
 protected:
  void SetUp() override {
    Serving::SetUp();
    run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout "
        "ca.key -out ca.pem");
    run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout "
        "other.key -out other.pem");
    issue("server", "IP:127.0.0.1,DNS:localhost", "ca", 2);
    issue("n1", "DNS:n1", "ca", 2);
    options_.tls = {file("server.pem"), file("server.key"), file("ca.pem")};
    options_.tokens = {{"operator", "a secret of an operator", TokenRole::kOperator, "", ""},
                       {"node", "a secret of a node", TokenRole::kNode, "", ""}};
    token_ = "a secret of a node";
    tls_.ca_file = file("ca.pem");
    start();
  }
  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  void run(const std::string& arguments) const {
    const std::string command =
        "cd '" + folder_.string() + "' && openssl " + arguments + " >openssl.log 2>&1";
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  void issue(const std::string& name, const std::string& san, const std::string& authority,
             int days) const {
    run("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=" + name + " -keyout " +
        name + ".key -out " + name + ".csr");
    std::ofstream(folder_ / (name + ".ext")) << "subjectAltName=" << san << "\n";
    run("x509 -req -in " + name + ".csr -CA " + authority + ".pem -CAkey " + authority +
        ".key -CAcreateserial -days " + std::to_string(days) + " -extfile " + name + ".ext -out " +
        name + ".pem");
  }
  void show(const std::string& name) {
    tls_.certificate_file = file(name + ".pem");
    tls_.key_file = file(name + ".key");
  }
  int registered(const std::string& id) const {
    return call("POST", "/v1/nodes", about(id)).status;
  }
};

TEST_F(CoordinatorTls, a_node_needs_the_certificate_with_its_own_name) {
  EXPECT_TRUE(server_->url().starts_with("https://"));
  EXPECT_EQ(registered("n1"), 403) << "no certificate";
  EXPECT_EQ(call("GET", "/v1/nodes").status, 200) << "reading needs only the token";
  show("n1");
  EXPECT_EQ(registered("n2"), 403);
  EXPECT_EQ(registered("n1"), 201);
}

TEST_F(CoordinatorTls, a_certificate_of_another_authority_or_past_its_end_is_not_heard) {
  issue("stranger", "DNS:n1", "other", 2);
  issue("expired", "DNS:n1", "ca", -1);
  for (const char* name : {"stranger", "expired"}) {
    show(name);
    const auto answer = send(token_, {"GET", "/healthz", {}, ""});
    EXPECT_FALSE(answer.ok()) << name;
  }
}

TEST_F(CoordinatorTls, a_client_that_trusts_another_authority_does_not_send_its_token) {
  tls_.ca_file = file("other.pem");
  const auto answer = send(token_, {"GET", "/v1/nodes", {}, ""});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(error_detail(answer.status())->sent, Sent::kNo);
}

TEST_F(CoordinatorTls, tls_older_than_1_2_and_plain_text_are_refused) {
  const std::string address = options_.listen;
  const std::string command = "openssl s_client -connect " + address +
                              " -tls1_1 -cipher ALL:@SECLEVEL=0 </dev/null >/dev/null 2>&1";
  EXPECT_NE(std::system(command.c_str()), 0);
  const std::string newer =
      "openssl s_client -connect " + address + " -tls1_2 </dev/null >/dev/null 2>&1";
  EXPECT_EQ(std::system(newer.c_str()), 0);
  const auto plain = HttpClient::make({.url = "http://" + address});
  EXPECT_FALSE((*plain)->send(context(), {"GET", "/healthz", {}, ""}).ok());
}

TEST_F(CoordinatorTls, reloading_opens_no_address_that_others_reach_to_everyone) {
  stop();
  options_.listen = "0.0.0.0:0";
  start();
  for (const char* listen : {"0.0.0.0:0", "127.0.0.1:0"}) {
    CoordinatorServerOptions changed = options_;
    changed.listen = listen;
    changed.tokens.clear();
    EXPECT_FALSE(server_->reload(changed).ok()) << "without tokens, " << listen;
  }
}

TEST_F(CoordinatorTls, a_new_certificate_is_taken_without_dropping_connections) {
  HttpClientOptions options;
  options.url = server_->url();
  options.tls = tls_;
  const auto old = *HttpClient::make(options);
  ASSERT_EQ((*old->send(context(), {"GET", "/healthz", {}, ""})).status, 200);
  issue("renewed", "IP:127.0.0.1", "other", 2);
  CoordinatorServerOptions changed = options_;
  changed.tls.certificate = file("renewed.pem");
  EXPECT_FALSE(server_->reload(changed).ok()) << "the key is not this certificate's";
  changed.tls.key = file("renewed.key");
  const Status reloaded = server_->reload(changed);
  ASSERT_TRUE(reloaded.ok()) << reloaded;
  EXPECT_EQ((*old->send(context(), {"GET", "/healthz", {}, ""})).status, 200);
  tls_.ca_file = file("other.pem");
  EXPECT_TRUE(send("", {"GET", "/healthz", {}, ""}).ok());
}

}  // namespace
}  // namespace cenote::coordinator
