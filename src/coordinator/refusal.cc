// A refusal rides in the Status beside no other detail: it is the caller's fault, not a database's.
#include "coordinator/refusal.h"

#include <utility>

namespace cenote::coordinator {
namespace {

struct RefusalDetail final : arrow::StatusDetail {
  explicit RefusalDetail(Refusal why) : refusal(why) {}
  const char* type_id() const override { return "cenote::coordinator::Refusal"; }
  std::string ToString() const override { return "refused"; }
  const Refusal refusal;
};

}  // namespace

Status refuse(Refusal why, std::string message) {
  return Status(arrow::StatusCode::Invalid, std::move(message),
                std::make_shared<RefusalDetail>(why));
}

std::optional<Refusal> refusal_of(const Status& status) {
  const auto& detail = status.detail();
  if (detail == nullptr || std::string_view(detail->type_id()) != "cenote::coordinator::Refusal") {
    return std::nullopt;
  }
  return static_cast<const RefusalDetail&>(*detail).refusal;
}

}  // namespace cenote::coordinator
