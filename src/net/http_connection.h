// One connection of the HTTP server, plain or encrypted: a stream as Beast and Asio want it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include "cenote/error.h"
#include "cenote/server.h"

namespace cenote {

using TlsContext = std::shared_ptr<boost::asio::ssl::context>;

// TLS 1.2 and later; with a client_ca, certificates of clients are asked for, not demanded. kConfig
// for files that cannot be read or do not belong together.
Result<TlsContext> make_server_tls(const TlsFiles& files);

class HttpConnection {
 public:
  using executor_type = boost::beast::tcp_stream::executor_type;

  // `tls`: null for a plain one.
  HttpConnection(boost::asio::ip::tcp::socket socket, TlsContext tls) : tls_(std::move(tls)) {
    if (tls_ == nullptr) {
      plain_.emplace(std::move(socket));
    } else {
      secure_.emplace(std::move(socket), *tls_);
    }
  }

  bool is_secure() const { return secure_.has_value(); }
  // Where the timeouts are.
  boost::beast::tcp_stream& tcp() { return secure_ ? secure_->next_layer() : *plain_; }
  executor_type get_executor() { return tcp().get_executor(); }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    if (secure_) return secure_->async_read_some(buffers, std::forward<Token>(token));
    return plain_->async_read_some(buffers, std::forward<Token>(token));
  }
  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    if (secure_) return secure_->async_write_some(buffers, std::forward<Token>(token));
    return plain_->async_write_some(buffers, std::forward<Token>(token));
  }
  // Of a secure one.
  template <typename Token>
  auto async_handshake(Token&& token) {
    return secure_->async_handshake(boost::asio::ssl::stream_base::server,
                                    std::forward<Token>(token));
  }
  // Of a secure one: tells the client that the end is ours.
  template <typename Token>
  auto async_shutdown(Token&& token) {
    return secure_->async_shutdown(std::forward<Token>(token));
  }

  // The DNS names and URIs of the client's certificate; none without one.
  std::vector<std::string> peer_names();
  // A client that closed its side shows as an end of file that can be peeked at.
  bool has_left();

 private:
  const TlsContext tls_;
  std::optional<boost::beast::tcp_stream> plain_;
  std::optional<boost::beast::ssl_stream<boost::beast::tcp_stream>> secure_;
};

}  // namespace cenote
