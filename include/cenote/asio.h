// Asynchronous calls of a pool as Asio operations: any completion token (use_awaitable, use_future,
// a callback). Header-only, so that only those who use Asio pay for it. An operation's completion
// runs on the associated executor of its handler; a cancellation signal stops the call on the
// server. Completion signature: void(arrow::Result<T>).
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include "cenote/pool.h"

namespace cenote {
namespace detail {

// Carries a move-only handler through the copyable std::function of a Completion, keeps its
// executor busy meanwhile, and turns Asio's cancellation into our stop token.
template <typename T, typename Handler>
class AsioOperation {
 public:
  explicit AsioOperation(Handler handler)
      : handler_(std::move(handler)), work_(boost::asio::make_work_guard(handler_)) {}

  // To be called once, before the call starts: the options with a stop that the handler's slot
  // requests.
  static QueryOptions cancellable(const std::shared_ptr<AsioOperation>& self,
                                  QueryOptions options) {
    auto slot = boost::asio::get_associated_cancellation_slot(self->handler_);
    if (!slot.is_connected()) return options;
    if (options.stop.stop_possible()) self->chain_.emplace(options.stop, Chain{self->stop_});
    options.stop = self->stop_.get_token();
    slot.assign(
        [stop = self->stop_](boost::asio::cancellation_type) mutable { stop.request_stop(); });
    return options;
  }

  static Completion<T> completion(std::shared_ptr<AsioOperation> self) {
    return [self = std::move(self)](Result<T> result) {
      auto executor = self->work_.get_executor();
      boost::asio::dispatch(executor, [self, result = std::move(result)]() mutable {
        self->chain_.reset();
        Handler handler = std::move(self->handler_);
        self->work_.reset();
        handler(std::move(result));
      });
    };
  }

 private:
  struct Chain {
    std::stop_source stop;
    void operator()() { stop.request_stop(); }
  };

  Handler handler_;
  boost::asio::executor_work_guard<boost::asio::associated_executor_t<Handler>> work_;
  std::stop_source stop_;
  std::optional<std::stop_callback<Chain>> chain_;
};

}  // namespace detail

// auto table = co_await async_query(pool, "select 1", {}, {}, boost::asio::use_awaitable);
template <typename Token>
auto async_query(std::shared_ptr<LocalPool> pool, std::string sql, Params params,
                 QueryOptions options, Token&& token) {
  using T = std::shared_ptr<arrow::Table>;
  return boost::asio::async_initiate<Token, void(Result<T>)>(
      [](auto handler, std::shared_ptr<LocalPool> on, std::string text, Params values,
         QueryOptions how) {
        using Operation = detail::AsioOperation<T, decltype(handler)>;
        auto operation = std::make_shared<Operation>(std::move(handler));
        how = Operation::cancellable(operation, std::move(how));
        on->async_query(std::move(text), std::move(values), std::move(how),
                        Operation::completion(std::move(operation)));
      },
      token, std::move(pool), std::move(sql), std::move(params), std::move(options));
}

template <typename Token>
auto async_execute(std::shared_ptr<LocalPool> pool, std::string sql, Params params,
                   QueryOptions options, Token&& token) {
  return boost::asio::async_initiate<Token, void(Result<int64_t>)>(
      [](auto handler, std::shared_ptr<LocalPool> on, std::string text, Params values,
         QueryOptions how) {
        using Operation = detail::AsioOperation<int64_t, decltype(handler)>;
        auto operation = std::make_shared<Operation>(std::move(handler));
        how = Operation::cancellable(operation, std::move(how));
        on->async_execute(std::move(text), std::move(values), std::move(how),
                          Operation::completion(std::move(operation)));
      },
      token, std::move(pool), std::move(sql), std::move(params), std::move(options));
}

}  // namespace cenote
