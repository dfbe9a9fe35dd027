// Each step is one asynchronous operation on a private io_context that runs until the step is done,
// the deadline has passed or a stop was requested: Beast's own time-outs need asynchronous calls
// too. Names are resolved elsewhere: Asio's resolver can be neither interrupted nor left.
#include "net/http_client.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "base/url.h"
#include "net/resolve.h"

namespace cenote {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

struct Endpoint {
  bool tls = false;
  std::string host;
  std::string port;

  uint16_t port_number() const { return static_cast<uint16_t>(std::stoul(port)); }
};

Result<Endpoint> parse(const std::string& url) {
  Endpoint endpoint;
  std::string_view rest = url;
  if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
    endpoint.port = "80";
  } else if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
    endpoint.port = "443";
    endpoint.tls = true;
  } else {
    return make_error(
        ErrorKind::kConfig,
        "'" + without_user(url) + "' must begin with http:// or https://, as in http://host:8080");
  }
  while (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find_first_of("/?#@ ") != std::string_view::npos) {
    return make_error(ErrorKind::kConfig, "'" + without_user(url) +
                                              "' must be scheme, host and port only; a token, a "
                                              "user and a password have keys of their own");
  }
  // [::1]:8080
  const size_t bracket = rest.find(']');
  const size_t colon = rest.find(':', bracket == std::string_view::npos ? 0 : bracket);
  endpoint.host = rest.substr(0, colon);
  if (colon != std::string_view::npos) endpoint.port = rest.substr(colon + 1);
  if (endpoint.host.starts_with('['))
    endpoint.host = endpoint.host.substr(1, endpoint.host.size() - 2);
  const bool digits = !endpoint.port.empty() && endpoint.port.size() <= 5 &&
                      std::all_of(endpoint.port.begin(), endpoint.port.end(),
                                  [](unsigned char c) { return std::isdigit(c) != 0; });
  if (endpoint.host.empty() || !digits || std::stoul(endpoint.port) > 65535) {
    return make_error(ErrorKind::kConfig,
                      "'" + without_user(url) + "' has no host or no valid port");
  }
  return endpoint;
}

bool may_repeat(const std::string& method) {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE";
}

class Client final : public HttpClient {
 public:
  Client(HttpClientOptions options, Endpoint endpoint)
      : options_(std::move(options)), endpoint_(std::move(endpoint)) {}
  ~Client() override { close(); }

  Status prepare() {
    if (!endpoint_.tls) return Status::OK();
    tls_.emplace(asio::ssl::context::tls_client);
    boost::system::error_code error;
    const auto check = [&](const std::string& what) {
      if (!error) return Status::OK();
      return make_error(ErrorKind::kConfig, what + ": " + error.message());
    };
    if (options_.tls.ca_file.empty()) {
      tls_->set_default_verify_paths(error);
      ARROW_RETURN_NOT_OK(check("the system's certificate authorities"));
    } else {
      tls_->load_verify_file(options_.tls.ca_file, error);
      ARROW_RETURN_NOT_OK(check("certificate authority " + options_.tls.ca_file));
    }
    if (!options_.tls.certificate_file.empty()) {
      tls_->use_certificate_chain_file(options_.tls.certificate_file, error);
      ARROW_RETURN_NOT_OK(check("certificate " + options_.tls.certificate_file));
      tls_->use_private_key_file(options_.tls.key_file, asio::ssl::context::pem, error);
      ARROW_RETURN_NOT_OK(check("private key " + options_.tls.key_file));
    }
    SSL_CTX_set_min_proto_version(tls_->native_handle(), TLS1_2_VERSION);
    tls_->set_verify_mode(asio::ssl::verify_peer);
    return Status::OK();
  }

  const std::string& url() const override { return options_.url; }

  Result<HttpAnswer> send(const CallContext& context, const HttpCall& request) override {
    return attempt(context, request, nullptr, Duration::zero());
  }

  Result<HttpAnswer> stream(const CallContext& context, const HttpCall& request, Duration silence,
                            const std::function<bool(std::string_view)>& take) override {
    return attempt(context, request, &take, silence);
  }

 private:
  using Take = std::function<bool(std::string_view)>;
  using Parser = http::response_parser<http::buffer_body>;

  Result<HttpAnswer> attempt(const CallContext& context, const HttpCall& request, const Take* take,
                             Duration silence) {
    const bool reused = is_open();
    bool answered = false;
    Result<HttpAnswer> response = exchange(context, request, take, silence, &answered);
    if (!response.ok()) close();
    const bool idle_close = !response.ok() && reused && !answered && may_repeat(request.method) &&
                            error_kind(response.status()) == ErrorKind::kConnection;
    if (!idle_close) return response;
    response = exchange(context, request, take, silence, &answered);
    if (!response.ok()) close();
    return response;
  }

  Result<HttpAnswer> exchange(const CallContext& context, const HttpCall& request, const Take* take,
                              Duration silence, bool* answered) {
    if (!is_open()) ARROW_RETURN_NOT_OK(connect(context));
    http::request<http::string_body> message;
    message.method_string(request.method);
    message.target(request.target);
    message.version(11);
    message.set(http::field::host, host_header());
    message.set(http::field::user_agent, "cenote");
    if (!options_.token.empty())
      message.set(http::field::authorization, "Bearer " + options_.token);
    for (const auto& [name, value] : request.headers) message.set(name, value);
    message.body() = request.body;
    if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
      message.prepare_payload();
    }
    ARROW_RETURN_NOT_OK(step(context.deadline, context, Sent::kMaybe, "sending", [&](auto&& done) {
      with_stream([&](auto& stream) { http::async_write(stream, message, done); });
    }));
    Parser parser;
    parser.header_limit(64 * 1024);
    parser.skip(request.method == "HEAD");  // its answer tells a length and has no body
    parser.body_limit(take == nullptr ? options_.max_body : std::numeric_limits<uint64_t>::max());
    ARROW_RETURN_NOT_OK(step(context.deadline, context, Sent::kMaybe, "reading", [&](auto&& done) {
      with_stream([&](auto& stream) { http::async_read_header(stream, buffer_, parser, done); });
    }));
    *answered = true;
    HttpAnswer response;
    response.status = static_cast<int>(parser.get().result_int());
    for (const auto& field : parser.get()) {
      std::string name(field.name_string());
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      response.headers[name] = field.value();
    }
    const bool streamed = take != nullptr && response.status == 200;
    std::array<char, 64 * 1024> piece{};
    while (!parser.is_done()) {
      auto& body = parser.get().body();
      body.data = piece.data();
      body.size = piece.size();
      const Deadline until =
          streamed ? context.deadline.sooner(Deadline::in(silence)) : context.deadline;
      ARROW_RETURN_NOT_OK(step(until, context, Sent::kYes, "reading", [&](auto&& done) {
        with_stream([&](auto& stream) { http::async_read_some(stream, buffer_, parser, done); });
      }));
      const std::string_view got(piece.data(), piece.size() - parser.get().body().size);
      if (!streamed) {
        response.body += got;
        if (response.body.size() > options_.max_body) {
          return error(ErrorKind::kData, Sent::kYes, "the answer is larger than allowed");
        }
      } else if (!got.empty() && !(*take)(got)) {
        close();
        return response;
      }
    }
    if (!parser.keep_alive()) close();
    return response;
  }

  Status connect(const CallContext& context) {
    ARROW_ASSIGN_OR_RAISE(const std::vector<tcp::endpoint> found, addresses(context));
    auto& socket = make_socket();
    ARROW_RETURN_NOT_OK(step(context.deadline, context, Sent::kNo, "connecting", [&](auto&& done) {
      asio::async_connect(socket, found, [done](boost::system::error_code ec, const auto&) {
        done(ec, size_t{0});
      });
    }));
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    if (!endpoint_.tls) return Status::OK();
    SSL_set_tlsext_host_name(secure_->native_handle(), endpoint_.host.c_str());
    secure_->set_verify_callback(asio::ssl::host_name_verification(endpoint_.host));
    return step(context.deadline, context, Sent::kNo, "TLS handshake", [&](auto&& done) {
      secure_->async_handshake(asio::ssl::stream_base::client,
                               [done](boost::system::error_code ec) { done(ec, size_t{0}); });
    });
  }

  Result<std::vector<tcp::endpoint>> addresses(const CallContext& context) const {
    Result<std::vector<std::string>> numbers = resolve(endpoint_.host, context);
    if (!numbers.ok()) {
      return error(error_kind(numbers.status()), Sent::kNo, numbers.status().message());
    }
    std::vector<tcp::endpoint> found;
    for (const std::string& number : *numbers) {
      boost::system::error_code wrong;
      const asio::ip::address address = asio::ip::make_address(number, wrong);
      if (!wrong) found.emplace_back(address, endpoint_.port_number());
    }
    if (!found.empty()) return found;
    return error(ErrorKind::kConnection, Sent::kNo, "resolving: the name is not known here");
  }

  // Starts one operation and runs the io_context until it has ended, by itself or because its time
  // was over. Nothing refers to the operation's arguments afterwards.
  template <typename Start>
  Status step(Deadline until, const CallContext& context, Sent sent, const char* what,
              Start start) {
    if (context.stop.stop_requested()) {
      return error(ErrorKind::kCancelled, sent == Sent::kNo ? Sent::kNo : sent, "cancelled");
    }
    boost::system::error_code result;
    bool ended = false;
    start([&result, &ended](boost::system::error_code ec, size_t) {
      result = ec;
      ended = true;
    });
    io_.restart();
    const std::stop_callback stop(context.stop, [this] { asio::post(io_, [] {}); });
    while (!ended && !context.stop.stop_requested()) {
      if (until.is_never()) {
        io_.run_one();
      } else if (io_.run_one_until(until.at()) == 0 && until.passed()) {
        break;
      }
      if (io_.stopped() && !ended) io_.restart();
    }
    if (ended) {
      if (!result) return Status::OK();
      return error(ErrorKind::kConnection, sent, std::string(what) + ": " + result.message());
    }
    close();
    io_.restart();
    while (!ended && io_.run_one() > 0) {
    }
    if (context.stop.stop_requested()) return error(ErrorKind::kCancelled, sent, "cancelled");
    return error(ErrorKind::kQueryTimeout, sent, std::string(what) + " took too long");
  }

  Status error(ErrorKind kind, Sent sent, const std::string& what) const {
    ErrorDetail detail;
    detail.kind = kind;
    detail.sent = sent;
    detail.endpoint = options_.url;
    return make_error(std::move(detail), options_.url + ": " + what);
  }

  std::string host_header() const {
    const bool v6 = endpoint_.host.find(':') != std::string::npos;
    return (v6 ? "[" + endpoint_.host + "]" : endpoint_.host) + ":" + endpoint_.port;
  }

  tcp::socket& make_socket() {
    buffer_.clear();
    if (endpoint_.tls) {
      secure_.emplace(io_, *tls_);
      return secure_->next_layer();
    }
    plain_.emplace(io_);
    return *plain_;
  }
  template <typename Do>
  void with_stream(Do call) {
    if (endpoint_.tls) {
      call(*secure_);
    } else {
      call(*plain_);
    }
  }
  bool is_open() const {
    return (plain_ && plain_->is_open()) || (secure_ && secure_->next_layer().is_open());
  }
  void close() {
    boost::system::error_code ignored;
    if (plain_) plain_->close(ignored);
    if (secure_) secure_->next_layer().close(ignored);
  }

  const HttpClientOptions options_;
  const Endpoint endpoint_;
  asio::io_context io_{1};
  std::optional<asio::ssl::context> tls_;
  std::optional<tcp::socket> plain_;
  std::optional<asio::ssl::stream<tcp::socket>> secure_;
  beast::flat_buffer buffer_;
};

}  // namespace

Result<std::unique_ptr<HttpClient>> HttpClient::make(HttpClientOptions options) {
  ARROW_ASSIGN_OR_RAISE(Endpoint endpoint, parse(options.url));
  auto client = std::make_unique<Client>(std::move(options), std::move(endpoint));
  ARROW_RETURN_NOT_OK(client->prepare());
  return client;
}

std::string url_encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char each : text) {
    const auto c = static_cast<unsigned char>(each);
    if (std::isalnum(c) != 0 || each == '-' || each == '_' || each == '.' || each == '~') {
      out += each;
    } else {
      out += '%';
      out += kHex[c >> 4];
      out += kHex[c & 15];
    }
  }
  return out;
}

}  // namespace cenote
