// What every call passes before its handler: the count of calls under way, and who calls.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include <arrow/flight/server.h>
#include <arrow/flight/server_middleware.h>

#include "node/auth.h"

namespace cenote::node {

// The key under which a handler finds the Admission of its call.
inline constexpr const char* kAdmission = "cenote-admission";

// One call that was let in; leaves the count when it ends.
class Admission final : public arrow::flight::ServerMiddleware {
 public:
  Admission(std::shared_ptr<std::atomic<int>> calls, Caller caller, std::string new_token,
            bool beyond)
      : calls_(std::move(calls)),
        caller_(std::move(caller)),
        new_token_(std::move(new_token)),
        beyond_(beyond) {}
  ~Admission() override { calls_->fetch_sub(1); }

  const Caller& caller() const { return caller_; }
  // The node answered max_calls already: this one may end what its client has begun, no more.
  bool beyond() const { return beyond_; }

  std::string name() const override { return kAdmission; }
  // Clients take the token of the answer for their next calls.
  void SendingHeaders(arrow::flight::AddCallHeaders* headers) override {
    if (!new_token_.empty()) headers->AddHeader("authorization", "Bearer " + new_token_);
  }
  void CallCompleted(const arrow::Status& /*status*/) override {}

 private:
  const std::shared_ptr<std::atomic<int>> calls_;
  const Caller caller_;
  const std::string new_token_;
  const bool beyond_;
};

class AdmissionFactory final : public arrow::flight::ServerMiddlewareFactory {
 public:
  AdmissionFactory(std::shared_ptr<const Authenticator> authenticator, int max_calls,
                   std::string node_id)
      : authenticator_(std::move(authenticator)),
        max_calls_(max_calls),
        node_id_(std::move(node_id)) {}

  Status StartCall(const arrow::flight::CallInfo& info,
                   const arrow::flight::ServerCallContext& context,
                   std::shared_ptr<arrow::flight::ServerMiddleware>* middleware) override;

  int calls() const { return calls_->load(); }
  Status refusal() const;

 private:
  const std::shared_ptr<const Authenticator> authenticator_;
  const int max_calls_;
  const std::string node_id_;
  // Shared: a call's middleware may outlive the factory while the server stops.
  const std::shared_ptr<std::atomic<int>> calls_ = std::make_shared<std::atomic<int>>(0);
};

}  // namespace cenote::node
