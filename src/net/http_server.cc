// Accepting, one coroutine for each connection, stopping. Everything but start and stop happens on
// the server's thread. Beast parses and writes; net/http_head.h decides first what Beast gets to
// see.
//
// g++ 12 destroys temporaries inside a co_await expression twice: operands are named first.
#include "net/http_server.h"

#include <algorithm>
#include <array>
#include <set>
#include <thread>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "net/http_head.h"
#include "net/listen_address.h"

namespace cenote {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

using Answer = http::response<http::string_body>;

Answer make_answer(int status, std::string_view content_type, std::string body) {
  Answer answer;
  answer.version(11);
  answer.result(static_cast<unsigned>(status));
  answer.set(http::field::content_type, {content_type.data(), content_type.size()});
  answer.set("X-Content-Type-Options", "nosniff");
  answer.body() = std::move(body);
  answer.prepare_payload();
  return answer;
}

Answer make_refusal(const HttpRefusal& refusal) {
  return make_answer(refusal.status, "text/plain; charset=utf-8",
                     std::string(refusal.reason) + "\n");
}

struct Head {
  http::request<http::empty_body> request;
  std::optional<HttpRefusal> refusal;
};

// Of a head that is whole.
Head parse_head(std::string_view text) {
  Head head;
  head.refusal = refusal_of_head(text);
  if (head.refusal) return head;
  http::request_parser<http::empty_body> parser;
  error_code error;
  parser.put(asio::buffer(text.data(), text.size()), error);
  if (error || !parser.is_header_done()) {
    head.refusal = HttpRefusal{400, "the request cannot be read"};
    return head;
  }
  head.request = parser.release();
  return head;
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
    asio::co_spawn(context_, accept(shared_from_this()), asio::detached);
    thread_ = std::thread([this] { run(); });
    return Status::OK();
  }

  void stop() {
    if (::getpid() != owner_) {
      thread_.detach();  // a forked child has no such thread
      return;
    }
    asio::post(context_, [this] { close_all(); });
    if (thread_.joinable()) thread_.join();
  }

  const std::string& address() const { return address_; }

 private:
  using Stream = std::shared_ptr<beast::tcp_stream>;

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
    for (const Stream& stream : streams_) stream->close();
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
      } else if (core->streams_.size() >= core->options_.max_connections) {
        refuse(socket);
      } else {
        close_on_exec(socket.native_handle());
        auto stream = std::make_shared<beast::tcp_stream>(std::move(socket));
        core->streams_.insert(stream);
        asio::co_spawn(core->context_, serve(core, stream), asio::detached);
      }
    }
  }

  // As much as the socket's buffer takes; nobody waits for a client that is one too many.
  static void refuse(tcp::socket& socket) {
    constexpr std::string_view kBusy =
        "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(kBusy.data(), kBusy.size()), ignored);
    socket.shutdown(tcp::socket::shutdown_send, ignored);
  }

  static asio::awaitable<void> serve(std::shared_ptr<Core> core, Stream stream) {
    std::string bytes;  // arrived and not yet used
    for (bool open = true, first = true; open && !core->stopping_; first = false) {
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
      Answer answer = head.refusal ? make_refusal(*head.refusal) : core->answer(head.request);
      if (!head.refusal) answer.version(head.request.version());
      open = !head.refusal && head.request.keep_alive();
      answer.keep_alive(open);
      const bool head_only = !head.refusal && head.request.method() == http::verb::head;
      const bool sent = co_await write_answer(core, stream, answer, head_only);
      open = open && sent;
      if (sent && !open) co_await linger(stream);
    }
    stream->close();
    core->streams_.erase(stream);
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
      stream->expires_at(deadline);
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
    stream->expires_after(core->options_.write_timeout);
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
    stream->socket().shutdown(tcp::socket::shutdown_send, error);
    std::array<char, 4096> ignored;
    auto buffer = asio::buffer(ignored);
    auto token = asio::redirect_error(asio::use_awaitable, error);
    stream->expires_after(std::chrono::seconds(1));
    constexpr int kMostReads = 64;
    for (int i = 0; i < kMostReads && !error; ++i) {
      co_await stream->async_read_some(buffer, token);
    }
  }

  Answer answer(const http::request<http::empty_body>& request) const {
    HttpRequest asked;
    asked.method = std::string(request.method_string());
    const std::string target(request.target());
    const size_t question = target.find('?');
    asked.path = target.substr(0, question);
    if (question != std::string::npos) asked.query = target.substr(question + 1);
    const auto route = std::find_if(routes_.begin(), routes_.end(),
                                    [&](const HttpRoute& each) { return each.path == asked.path; });
    if (route == routes_.end()) return make_refusal({404, "there is nothing at this path"});
    if (asked.method != "GET") {
      Answer refused = make_refusal({405, "only GET is answered here"});
      refused.set(http::field::allow, "GET");
      return refused;
    }
    HttpResponse response = route->handler(asked);
    return make_answer(response.status, response.content_type, std::move(response.body));
  }

  const HttpServerOptions options_;
  const std::vector<HttpRoute> routes_;
  const pid_t owner_ = ::getpid();
  std::string address_;
  asio::io_context context_{1};
  tcp::acceptor acceptor_{context_};
  asio::steady_timer pause_{context_};
  std::set<Stream> streams_;  // of open connections
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

const std::string& HttpServer::address() const {
  return core_->address();
}

}  // namespace cenote
