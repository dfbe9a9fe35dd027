// What may be concluded from an error.
#include "cenote/error.h"

#include <gtest/gtest.h>

namespace cenote {
namespace {

ErrorDetail detail(ErrorKind kind, Sent sent = Sent::kYes, std::string sqlstate = "") {
  ErrorDetail detail;
  detail.kind = kind;
  detail.sent = sent;
  detail.sqlstate = std::move(sqlstate);
  return detail;
}

TEST(Error, a_statement_is_retryable_only_if_it_cannot_have_happened) {
  EXPECT_TRUE(retryable(make_error(detail(ErrorKind::kConnection, Sent::kNo), "refused")));
  EXPECT_FALSE(retryable(make_error(detail(ErrorKind::kConnection, Sent::kMaybe), "reset")));
  EXPECT_TRUE(
      retryable(make_error(detail(ErrorKind::kOperational, Sent::kYes, "40P01"), "deadlock")));
  EXPECT_FALSE(
      retryable(make_error(detail(ErrorKind::kIntegrity, Sent::kYes, "23505"), "duplicate")));
  EXPECT_TRUE(retryable(make_error(ErrorKind::kPoolTimeout, "full")));
  EXPECT_FALSE(retryable(Status::OK()));
}

TEST(Error, overload_is_not_death) {
  EXPECT_TRUE(counts_against_target(make_error(ErrorKind::kConnection, "refused")));
  EXPECT_TRUE(counts_against_target(make_error(ErrorKind::kReadOnly, "demoted")));
  for (const ErrorKind kind :
       {ErrorKind::kOverload, ErrorKind::kPoolTimeout, ErrorKind::kProgramming,
        ErrorKind::kQueryTimeout, ErrorKind::kAuthentication}) {
    EXPECT_FALSE(counts_against_target(make_error(kind, "x"))) << to_string(kind);
  }
}

TEST(Error, a_message_has_a_bound_and_is_cut_between_characters) {
  for (int i = 0; i < 4; ++i) {
    std::string text(static_cast<size_t>(i), 'x');
    while (text.size() < 1'000'000) text += "𝄞";
    const std::string message = make_error(ErrorKind::kProgramming, text).message();
    EXPECT_LT(message.size(), 5000U);
    EXPECT_TRUE(message.ends_with("𝄞 …")) << message.substr(message.size() - 20);
  }
}

TEST(Error, origin_is_named_once_and_keeps_the_detail) {
  const Status plain =
      make_error(detail(ErrorKind::kProgramming, Sent::kYes, "42601"), "syntax error");
  const Status named = with_origin(plain, "main_db", "db1:5432/app");
  EXPECT_EQ(named.message(), "pool 'main_db' at db1:5432/app: syntax error");
  EXPECT_EQ(with_origin(named, "main_db", "db1:5432/app").message(), named.message());
  ASSERT_NE(error_detail(named), nullptr);
  EXPECT_EQ(error_detail(named)->sqlstate, "42601");
  EXPECT_EQ(error_detail(named)->pool, "main_db");
}

TEST(Error, arrows_own_errors_have_a_kind_too) {
  EXPECT_EQ(error_kind(Status::IOError("disk")), ErrorKind::kOperational);
  EXPECT_EQ(error_kind(with_origin(Status::TypeError("x"), "p", "")), ErrorKind::kData);
}

}  // namespace
}  // namespace cenote
