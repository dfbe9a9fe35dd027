// Accepting, one coroutine for each connection, stopping. Everything but start and stop happens on
// the server's thread. Beast parses and writes; net/http_head.h decides first what Beast gets to
// see.
//
// g++ 12 destroys temporaries inside a co_await expression twice: operands are named first.
#include "net/http_server.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <limits>
#include <set>
#include <thread>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "net/http_connection.h"
#include "net/http_head.h"
#include "net/http_lanes.h"
#include "net/listen_address.h"

namespace cenote {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

using Answer = http::response<http::string_body>;

constexpr size_t kMostTurnedAway = 32;  // connections that are told that they are one too many

Answer make_answer(int status, std::string_view content_type, std::string body) {
  Answer answer;
  answer.version(11);
  answer.result(static_cast<unsigned>(status));
  answer.set(http::field::content_type, {content_type.data(), content_type.size()});
  answer.set("X-Content-Type-Options", "nosniff");
  // RFC 9110 §15.3.5, §15.4.5: these have no body.
  if (status == 204 || status == 304) return answer;
  answer.body() = std::move(body);
  answer.prepare_payload();
  return answer;
}

struct Head {
  HttpRequest request;
  int version = 11;
  bool keep_alive = false;
  uint64_t body_length = 0;
  std::optional<HttpRefusal> refusal;
};

// Of a head that is whole.
Head parse_head(std::string_view text) {
  Head head;
  head.refusal = refusal_of_head(text, &head.body_length);
  if (head.refusal) return head;
  http::request_parser<http::empty_body> parser;
  parser.body_limit(std::numeric_limits<uint64_t>::max());  // the route has one
  error_code error;
  parser.put(asio::buffer(text.data(), text.size()), error);
  if (error || !parser.is_header_done()) {
    head.refusal = HttpRefusal{400, "the request cannot be read"};
    return head;
  }
  const auto& parsed = parser.get();
  head.version = static_cast<int>(parsed.version());
  head.keep_alive = parsed.keep_alive();
  head.request.method = std::string(parsed.method_string());
  const std::string target(parsed.target());
  const size_t question = target.find('?');
  head.request.path = target.substr(0, question);
  if (question != std::string::npos) head.request.query = target.substr(question + 1);
  for (const auto& field : parsed) {
    std::string name(field.name_string());
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    head.request.headers.emplace_back(std::move(name), std::string(field.value()));
  }
  return head;
}

Answer make_answer(HttpResponse response) {
  Answer answer = make_answer(response.status, response.content_type, std::move(response.body));
  for (const auto& [name, value] : response.headers) answer.set(name, value);
  return answer;
}

std::string chunk_of(std::string_view bytes) {
  std::array<char, 20> size{};
  std::snprintf(size.data(), size.size(), "%zx\r\n", bytes.size());
  return std::string(size.data()) + std::string(bytes) + "\r\n";
}

// A program that this process starts must not keep the port.
void close_on_exec(int fd) {
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

}  // namespace

class HttpServer::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(HttpServerOptions options, std::vector<HttpRoute> routes)
      : options_(std::move(options)), routes_(std::move(routes)) {}

  Status listen() {
    ARROW_ASSIGN_OR_RAISE(const ListenAddress address, parse_listen_address(options_.listen));
    if (!address.loopback && !options_.allow_remote) {
      return make_error(
          ErrorKind::kConfig,
          "'" + options_.listen +
              "' can be reached from other machines, without TLS or a password; "
              "listen on 127.0.0.1, or set allow_remote: true if the network is trusted");
    }
    if (!options_.tls.certificate.empty()) {
      ARROW_ASSIGN_OR_RAISE(tls_, make_server_tls(options_.tls));
    }
    error_code error;
    const tcp::endpoint endpoint(asio::ip::make_address(address.host, error), address.port);
    if (!error) acceptor_.open(endpoint.protocol(), error);
    if (!error) close_on_exec(acceptor_.native_handle());
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      return make_error(ErrorKind::kConfig, "cannot listen on " + options_.listen + ": " +
                                                error.message() + "; choose another port, or 0");
    }
    const tcp::endpoint bound = acceptor_.local_endpoint(error);
    const std::string host = bound.address().to_string();
    address_ =
        (bound.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(bound.port());
    const bool elsewhere = std::any_of(routes_.begin(), routes_.end(), [](const HttpRoute& route) {
      return route.lane != HttpLane::kServer;
    });
    if (elsewhere) {
      lanes_ = std::make_unique<HttpLanes>(options_.waiting_threads, options_.max_queue);
    }
    asio::co_spawn(context_, accept(shared_from_this()), asio::detached);
    thread_ = std::thread([this] { run(); });
    return Status::OK();
  }

  void stop() {
    if (::getpid() != owner_) {
      thread_.detach();  // a forked child has no such threads
      (void)lanes_.release();
      return;
    }
    asio::post(context_, [this] { close_all(); });
    // A handler under way elsewhere is waited for; it comes back to the server's thread.
    if (thread_.joinable()) thread_.join();
    if (lanes_) lanes_->join();
  }

  Status reload_tls(const TlsFiles& files) {
    if (options_.tls.certificate.empty()) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(TlsContext made, make_server_tls(files));
    asio::post(context_, [self = shared_from_this(), made = std::move(made)]() mutable {
      self->tls_ = std::move(made);
    });
    return Status::OK();
  }

  void wake() {
    asio::post(context_, [self = shared_from_this()] {
      self->changed_ = true;
      if (!std::exchange(self->waking_, true)) self->wake_some();
    });
  }

  const std::string& address() const { return address_; }

 private:
  using Stream = std::shared_ptr<HttpConnection>;

  void run() noexcept {
    try {
      context_.run();
    } catch (const std::exception& error) {
      log(LogLevel::kError, "net", std::string("the HTTP server ended: ") + error.what());
    }
  }

  void close_all() {
    stopping_ = true;
    error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
    for (const Stream& stream : streams_) stream->tcp().close();
    wake_all();
  }

  void wake_all() {
    for (asio::steady_timer* timer : sleepers_) timer->cancel();
  }

  // In small groups, with what else came in between: telling 2,000 watches takes 40 ms, and no
  // request shall wait that long. What happens during a round is told in the next one.
  void wake_some() {
    constexpr int kGroup = 16;
    if (cursor_ == nullptr) changed_ = false;
    auto next = sleepers_.upper_bound(cursor_);
    for (int i = 0; i < kGroup && next != sleepers_.end(); ++i) {
      cursor_ = *next++;
      cursor_->cancel();
    }
    if (next == sleepers_.end()) cursor_ = nullptr;
    waking_ = cursor_ != nullptr || changed_;
    if (waking_) asio::post(context_, [self = shared_from_this()] { self->wake_some(); });
  }

  // Static, with the core as an argument: the coroutine's frame then holds what it uses.
  static asio::awaitable<void> accept(std::shared_ptr<Core> core) {
    while (!core->stopping_) {
      error_code error;
      auto token = asio::redirect_error(asio::use_awaitable, error);
      tcp::socket socket = co_await core->acceptor_.async_accept(token);
      if (core->stopping_) break;
      if (error) {  // out of descriptors: wait until some are free again
        core->pause_.expires_after(std::chrono::milliseconds(100));
        co_await core->pause_.async_wait(token);
        continue;
      }
      const bool full =
          core->streams_.size() - core->turned_away_ >= core->options_.max_connections;
      if (full && core->turned_away_ >= kMostTurnedAway) continue;  // closed without a word
      close_on_exec(socket.native_handle());
      auto stream = std::make_shared<HttpConnection>(std::move(socket), core->tls_);
      core->streams_.insert(stream);
      if (full) ++core->turned_away_;
      asio::co_spawn(core->context_, full ? turn_away(core, stream) : serve(core, stream),
                     asio::detached);
    }
  }

  // One too many is told so, whatever it came for; over TLS that takes a handshake.
  static asio::awaitable<void> turn_away(std::shared_ptr<Core> core, Stream stream) {
    const bool greeted = co_await greet(core, stream);
    if (greeted) {
      Answer answer =
          make_answer(core->refused({429, "too many connections are open; come back later"}));
      answer.keep_alive(false);
      co_await write_answer(core, stream, answer, false);
      co_await linger(stream);
    }
    stream->tcp().close();
    core->streams_.erase(stream);
    --core->turned_away_;
  }

  static asio::awaitable<void> serve(std::shared_ptr<Core> core, Stream stream) {
    std::string bytes;  // arrived and not yet used
    error_code ignored;
    const std::string peer = stream->tcp().socket().remote_endpoint(ignored).address().to_string();
    const bool greeted = co_await greet(core, stream);
    const std::vector<std::string> names = stream->peer_names();
    for (bool open = greeted, first = true; open && !core->stopping_; first = false) {
      const Duration wait = first ? core->options_.head_timeout : core->options_.idle_timeout;
      const bool whole = co_await read_head(core, stream, &bytes, wait);
      if (core->stopping_ || bytes.empty()) break;
      const size_t end = bytes.find("\r\n\r\n");
      Head head;
      if (whole) {
        head = parse_head(std::string_view(bytes).substr(0, end + 4));
        bytes.erase(0, end + 4);
      } else if (!(head.refusal = refusal_of_part(bytes))) {
        head.refusal = HttpRefusal{431, "the head is too large"};
      }
      head.request.peer = peer;
      head.request.peer_names = names;
      open = co_await respond(core, stream, head, &bytes);
      if (!open) co_await linger(stream);
    }
    stream->tcp().close();
    core->streams_.erase(stream);
  }

  // The TLS handshake, where there is one.
  static asio::awaitable<bool> greet(std::shared_ptr<Core> core, Stream stream) {
    if (!stream->is_secure()) co_return true;
    error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    stream->tcp().expires_after(core->options_.head_timeout);
    co_await stream->async_handshake(token);
    co_return !error;
  }

  // Reads the body, asks the handler, writes what it says. Whether another request may follow.
  static asio::awaitable<bool> respond(std::shared_ptr<Core> core, Stream stream, Head& head,
                                       std::string* bytes) {
    HttpMatch match;
    if (!head.refusal) {
      match = match_route(core->routes_, head.request.method, head.request.path);
      if (match.route != nullptr && head.body_length > match.route->max_body) {
        head.refusal = HttpRefusal{413, "the body is too large"};
      }
    }
    std::optional<HttpResponse> barred;
    if (!head.refusal && match.route != nullptr && match.route->guard && head.body_length > 0) {
      barred = match.route->guard(head.request);
    }
    const bool seen = !head.refusal && !barred && match.route != nullptr;
    // What is not read of a body would be taken for the next request.
    const bool may_go_on = !head.refusal && (seen || head.body_length == 0);
    HttpResponse response;
    if (head.refusal) {
      response = core->refused(*head.refusal);
    } else if (barred) {
      response = std::move(*barred);
    } else if (match.route == nullptr) {
      response = core->unmatched(match);
    } else {
      const bool got = co_await read_body(core, stream, head, bytes);
      if (!got) co_return false;
      head.request.params = std::move(match.params);
      response = co_await call(core, *match.route, head.request);
      while (response.wait != nullptr) {
        const std::shared_ptr<HttpWait> wait = response.wait;
        response = co_await wait_for(core, stream, wait);
      }
      if (core->stopping_) co_return false;
      if (response.feed != nullptr && head.request.method != "HEAD") {
        const bool ended = co_await feed(core, stream, response, head);
        co_return ended;
      }
    }
    const bool endless = response.feed != nullptr;
    Answer answer = make_answer(std::move(response));
    if (endless) answer.content_length(boost::none);
    answer.version(static_cast<unsigned>(head.version));
    const bool open = may_go_on && head.keep_alive;
    answer.keep_alive(open);
    const bool head_only = head.request.method == "HEAD";
    const bool sent = co_await write_answer(core, stream, answer, head_only);
    co_return open&& sent;
  }

  HttpResponse refused(const HttpRefusal& refusal) const {
    HttpResponse response =
        options_.refusal
            ? options_.refusal(refusal.status, refusal.reason)
            : HttpResponse{.status = refusal.status, .body = std::string(refusal.reason) + "\n"};
    if (refusal.status == 429 || refusal.status == 503) {
      response.headers.emplace_back("Retry-After", retry_after());
    }
    return response;
  }

  HttpResponse unmatched(const HttpMatch& match) const {
    if (match.allow.empty()) return refused({404, "there is nothing at this path"});
    HttpResponse response = refused({405, "this path answers other methods"});
    response.headers.emplace_back("Allow", match.allow);
    return response;
  }

  static asio::awaitable<bool> read_body(std::shared_ptr<Core> core, Stream stream, Head& head,
                                         std::string* bytes) {
    error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    stream->tcp().expires_after(core->options_.body_timeout);
    if (head.body_length > bytes->size() && head.request.header("expect") == "100-continue") {
      const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
      auto buffer = asio::buffer(go_on);
      co_await asio::async_write(*stream, buffer, token);
    }
    std::array<char, 16 * 1024> part;
    while (!error && bytes->size() < head.body_length) {
      auto buffer = asio::buffer(part);
      const size_t got = co_await stream->async_read_some(buffer, token);
      bytes->append(part.data(), got);
    }
    if (error) co_return false;
    head.request.body = bytes->substr(0, head.body_length);
    bytes->erase(0, head.body_length);
    co_return true;
  }

  // A handler that waits or computes does so elsewhere; the server's thread goes on meanwhile.
  static asio::awaitable<HttpResponse> call(std::shared_ptr<Core> core, const HttpRoute& route,
                                            const HttpRequest& request) {
    if (route.lane == HttpLane::kServer) co_return route.handler(request);
    const auto lane = core->lanes_->enter(route.lane);
    if (!lane) co_return core->refused({503, "too many calls wait here; come back later"});
    const Deadline patience = Deadline::in(core->options_.queue_timeout);
    // Bound to the token: posting to an executor alone resumes the coroutine on its own.
    auto there = asio::bind_executor(*lane, asio::use_awaitable);
    auto own = co_await asio::this_coro::executor;
    co_await asio::post(there);
    HttpResponse response;
    if (patience.passed()) {
      response = core->refused({503, "the calls before this one took too long; come back later"});
    } else {
      response = route.handler(request);
    }
    co_await asio::post(own, asio::use_awaitable);
    core->lanes_->leave(route.lane);
    co_return response;
  }

  static asio::awaitable<HttpResponse> wait_for(std::shared_ptr<Core> core, Stream stream,
                                                std::shared_ptr<HttpWait> wait) {
    while (!core->stopping_) {
      const bool last = wait->until.passed();
      std::optional<HttpResponse> response = wait->again(last);
      if (response) co_return std::move(*response);
      if (last) break;
      co_await sleep(core, stream, wait->until);
      if (!stream->tcp().socket().is_open()) break;
    }
    co_return core->refused({503, "the server is stopping"});
  }

  // Until wake(), `until`, or the client left.
  static asio::awaitable<void> sleep(std::shared_ptr<Core> core, Stream stream, Deadline until) {
    asio::steady_timer timer(core->context_);
    timer.expires_at(until.at());
    core->sleepers_.insert(&timer);
    error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    co_await timer.async_wait(token);
    core->sleepers_.erase(&timer);
    if (stream->has_left()) stream->tcp().close();
  }

  // Sends pieces as they come, as chunks. An answer without end never leaves the connection usable.
  static asio::awaitable<bool> feed(std::shared_ptr<Core> core, Stream stream,
                                    HttpResponse& response, const Head& head) {
    const std::shared_ptr<HttpFeed> source = response.feed;
    Answer start = make_answer(std::move(response));
    start.version(static_cast<unsigned>(head.version));
    start.content_length(boost::none);
    const bool chunked = head.version == 11;
    start.chunked(chunked);
    start.keep_alive(false);
    start.set(http::field::cache_control, "no-store");
    error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    http::response_serializer<http::string_body> serializer(start);
    stream->tcp().expires_after(core->options_.write_timeout);
    co_await http::async_write_header(*stream, serializer, token);
    TimePoint due = Clock::now();
    bool more = true;
    while (!error && more && !core->stopping_) {
      std::string piece;
      const bool is_due = Clock::now() >= due;
      more = source->next(is_due, &piece);
      if (is_due) due = Clock::now() + source->interval;
      if (!piece.empty()) {
        const std::string sent = chunked ? chunk_of(piece) : piece;
        auto buffer = asio::buffer(sent);
        stream->tcp().expires_after(core->options_.write_timeout);
        co_await asio::async_write(*stream, buffer, token);
        continue;  // there may be more already
      }
      if (!more) break;
      co_await sleep(core, stream, Deadline(due));
      if (!stream->tcp().socket().is_open()) co_return false;
    }
    if (!error && chunked) {
      const std::string end = "0\r\n\r\n";
      auto buffer = asio::buffer(end);
      co_await asio::async_write(*stream, buffer, token);
    }
    co_return false;
  }

  // Reads until a head is whole (true), hopeless, too large, too slow, or the client left.
  static asio::awaitable<bool> read_head(std::shared_ptr<Core> core, Stream stream,
                                         std::string* bytes, Duration first_byte) {
    std::array<char, 4096> part;
    TimePoint deadline = Clock::now() + (bytes->empty() ? first_byte : core->options_.head_timeout);
    for (;;) {
      if (bytes->find("\r\n\r\n") != std::string::npos) {
        co_return bytes->find("\r\n\r\n") + 4 <= core->options_.max_head;
      }
      if (bytes->size() >= core->options_.max_head || refusal_of_part(*bytes)) co_return false;
      stream->tcp().expires_at(deadline);
      error_code error;
      auto token = asio::redirect_error(asio::use_awaitable, error);
      auto buffer = asio::buffer(part);
      const size_t got = co_await stream->async_read_some(buffer, token);
      if (error) {
        bytes->clear();  // it left, or it was too slow and Beast closed the socket: no answer
        co_return false;
      }
      // The clock of a head starts with its first byte, and drops of bytes do not prolong it.
      if (bytes->empty()) deadline = Clock::now() + core->options_.head_timeout;
      bytes->append(part.data(), got);
    }
  }

  static asio::awaitable<bool> write_answer(std::shared_ptr<Core> core, Stream stream,
                                            Answer& answer, bool head_only) {
    stream->tcp().expires_after(core->options_.write_timeout);
    error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    http::response_serializer<http::string_body> serializer(answer);
    if (head_only) {
      co_await http::async_write_header(*stream, serializer, token);
    } else {
      co_await http::async_write(*stream, serializer, token);
    }
    co_return !error;
  }

  // Closing a socket with unread bytes resets it, and the reset may overtake the answer. So the
  // client is given a moment to read and close.
  static asio::awaitable<void> linger(Stream stream) {
    error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    stream->tcp().expires_after(std::chrono::seconds(1));
    if (stream->is_secure()) {
      co_await stream->async_shutdown(token);
      co_return;
    }
    stream->tcp().socket().shutdown(tcp::socket::shutdown_send, error);
    std::array<char, 4096> ignored;
    auto buffer = asio::buffer(ignored);
    constexpr int kMostReads = 64;
    for (int i = 0; i < kMostReads && !error; ++i) {
      co_await stream->async_read_some(buffer, token);
    }
  }

  const HttpServerOptions options_;
  const std::vector<HttpRoute> routes_;
  const pid_t owner_ = ::getpid();
  std::string address_;
  TlsContext tls_;  // of the next connections; null: plain
  asio::io_context context_{1};
  tcp::acceptor acceptor_{context_};
  asio::steady_timer pause_{context_};
  std::set<Stream> streams_;                // of open connections
  size_t turned_away_ = 0;                  // of these, those that are one too many
  std::set<asio::steady_timer*> sleepers_;  // of answers that wait
  asio::steady_timer* cursor_ = nullptr;    // of a round of waking: the last one woken
  bool waking_ = false;                     // a round is under way
  bool changed_ = false;                    // another must follow
  std::unique_ptr<HttpLanes> lanes_;        // null: no route needs them
  bool stopping_ = false;
  std::thread thread_;
};

HttpServer::HttpServer(std::shared_ptr<Core> core) : core_(std::move(core)) {}

HttpServer::~HttpServer() {
  core_->stop();
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpServerOptions options,
                                                      std::vector<HttpRoute> routes) {
  auto core = std::make_shared<Core>(std::move(options), std::move(routes));
  ARROW_RETURN_NOT_OK(core->listen());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(core)));
}

Status HttpServer::reload_tls(const TlsFiles& files) {
  return core_->reload_tls(files);
}

void HttpServer::wake() {
  core_->wake();
}

const std::string& HttpServer::address() const {
  return core_->address();
}

}  // namespace cenote
