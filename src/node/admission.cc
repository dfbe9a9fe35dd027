// libarrow_flight's gRPC makes a thread for every call and offers no bound, so calls above the
// limit are turned away here, before their handler could block that thread. A quarter more is let
// in: what a call wants is known to its handler alone, and a commit or a cancel that was turned
// away would hold what the others wait for.
#include "node/admission.h"

#include <utility>

#include <arrow/flight/types.h>

#include "flight/errors.h"

namespace cenote::node {
namespace {

std::string_view header(const arrow::flight::ServerCallContext& context, std::string_view name) {
  const auto found = context.incoming_headers().find(name);
  return found == context.incoming_headers().end() ? std::string_view() : found->second;
}

}  // namespace

Status AdmissionFactory::StartCall(const arrow::flight::CallInfo& info,
                                   const arrow::flight::ServerCallContext& context,
                                   std::shared_ptr<arrow::flight::ServerMiddleware>* middleware) {
  const Result<Caller> caller =
      authenticator_->admit(header(context, "authorization"), context.peer());
  if (!caller.ok()) {
    return arrow::flight::MakeFlightError(arrow::flight::FlightStatusCode::Unauthenticated,
                                          caller.status().message());
  }
  const int before = calls_->fetch_add(1);
  if (before >= max_calls_ + max_calls_ / 4 + 1) {
    calls_->fetch_sub(1);
    return flight::to_wire(refusal(), node_id_);
  }
  const bool login = info.method == arrow::flight::FlightMethod::Handshake;
  std::string token = login || caller->renew ? authenticator_->issue(*caller) : "";
  *middleware =
      std::make_shared<Admission>(calls_, *caller, std::move(token), before >= max_calls_);
  return Status::OK();
}

Status AdmissionFactory::refusal() const {
  return make_error(ErrorKind::kPoolExhausted,
                    "node '" + node_id_ + "' answers " + std::to_string(max_calls_) +
                        " calls already, its max_calls; try again or another node");
}

}  // namespace cenote::node
