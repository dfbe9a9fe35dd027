// Asynchronous calls of a pool as Asio operations: any completion token (use_awaitable, use_future,
// a callback). Header-only, so that only those who use Asio pay for it.
//
// An operation holds no thread while it waits for a connection. Its handler runs on the handler's
// associated executor; its cancellation slot stops the call on the server, and the operation then
// completes with kCancelled. Completion signature: void(arrow::Result<T>).
//
// With g++ 12 give every argument of a call inside a co_await expression a name first: it destroys
// aggregate temporaries there twice.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
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
  QueryOptions cancellable(QueryOptions options) {
    auto slot = boost::asio::get_associated_cancellation_slot(handler_);
    if (!slot.is_connected()) return options;
    if (options.stop.stop_possible()) chain_.emplace(options.stop, Chain{stop_});
    options.stop = stop_.get_token();
    slot.assign([stop = stop_](boost::asio::cancellation_type) mutable { stop.request_stop(); });
    return options;
  }

  static Completion<T> completion(std::shared_ptr<AsioOperation> self) {
    return [self = std::move(self)](Result<T> result) {
      // Held until dispatch() is over: once the handler has run, its context may end and be
      // destroyed.
      const auto work = self->work_;
      auto executor = work.get_executor();
      // Shared, because a Result of a move-only type cannot be captured by a copyable function.
      boost::asio::dispatch(executor,
                            [self, result = std::make_shared<Result<T>>(std::move(result))] {
                              self->complete(std::move(*result));
                            });
    };
  }

 private:
  struct Chain {
    std::stop_source stop;
    void operator()() { stop.request_stop(); }
  };

  void complete(Result<T> result) {
    chain_.reset();
    auto slot = boost::asio::get_associated_cancellation_slot(handler_);
    if (slot.is_connected()) slot.clear();
    Handler handler = std::move(handler_);
    work_.reset();
    std::move(handler)(std::move(result));
  }

  Handler handler_;
  boost::asio::executor_work_guard<boost::asio::associated_executor_t<Handler>> work_;
  std::stop_source stop_;
  std::optional<std::stop_callback<Chain>> chain_;
};

// Starts `start(pool, options, completion)` as an operation of the token's.
template <typename T, typename Start, typename Token>
auto asio_call(std::shared_ptr<LocalPool> pool, QueryOptions options, Start start, Token&& token) {
  return boost::asio::async_initiate<Token, void(Result<T>)>(
      [](auto handler, std::shared_ptr<LocalPool> on, QueryOptions how, Start begin) {
        using Operation = AsioOperation<T, decltype(handler)>;
        auto operation = std::make_shared<Operation>(std::move(handler));
        how = operation->cancellable(std::move(how));
        begin(*on, std::move(how), Operation::completion(std::move(operation)));
      },
      token, std::move(pool), std::move(options), std::move(start));
}

}  // namespace detail

// auto table = co_await async_query(pool, sql, params, options, boost::asio::use_awaitable);
template <typename Token>
auto async_query(std::shared_ptr<LocalPool> pool, std::string sql, Params params,
                 QueryOptions options, Token&& token) {
  using Table = std::shared_ptr<arrow::Table>;
  auto start = [sql = std::move(sql), params = std::move(params)](LocalPool& on, QueryOptions how,
                                                                  Completion<Table> done) mutable {
    on.async_query(std::move(sql), std::move(params), std::move(how), std::move(done));
  };
  return detail::asio_call<Table>(std::move(pool), std::move(options), std::move(start),
                                  std::forward<Token>(token));
}

// The reader blocks the thread that reads it.
template <typename Token>
auto async_stream(std::shared_ptr<LocalPool> pool, std::string sql, Params params,
                  QueryOptions options, Token&& token) {
  using Reader = std::shared_ptr<arrow::RecordBatchReader>;
  auto start = [sql = std::move(sql), params = std::move(params)](LocalPool& on, QueryOptions how,
                                                                  Completion<Reader> done) mutable {
    on.async_stream(std::move(sql), std::move(params), std::move(how), std::move(done));
  };
  return detail::asio_call<Reader>(std::move(pool), std::move(options), std::move(start),
                                   std::forward<Token>(token));
}

template <typename Token>
auto async_execute(std::shared_ptr<LocalPool> pool, std::string sql, Params params,
                   QueryOptions options, Token&& token) {
  auto start = [sql = std::move(sql), params = std::move(params)](
                   LocalPool& on, QueryOptions how, Completion<int64_t> done) mutable {
    on.async_execute(std::move(sql), std::move(params), std::move(how), std::move(done));
  };
  return detail::asio_call<int64_t>(std::move(pool), std::move(options), std::move(start),
                                    std::forward<Token>(token));
}

// The transaction's own calls block.
template <typename Token>
auto async_begin(std::shared_ptr<LocalPool> pool, TransactionOptions transaction,
                 QueryOptions options, Token&& token) {
  auto start = [transaction](LocalPool& on, QueryOptions how, Completion<Transaction> done) {
    on.async_begin(transaction, std::move(how), std::move(done));
  };
  return detail::asio_call<Transaction>(std::move(pool), std::move(options), std::move(start),
                                        std::forward<Token>(token));
}

}  // namespace cenote
