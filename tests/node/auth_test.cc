// Who is admitted: passwords, tokens of the cluster, and nobody else.
#include "node/auth.h"

#include <gtest/gtest.h>

#include "node/crypto.h"

namespace cenote::node {
namespace {

using std::chrono::hours;

const std::vector<ServerUser> kUsers = {{"ada", "p:ss wörd", UserRole::kReader, {"main_db"}},
                                        {"bob", "other", UserRole::kAdmin, {}}};

Authenticator authenticator(std::string secret = "of the cluster") {
  return Authenticator(kUsers, std::move(secret), hours(12));
}

std::string basic(const std::string& login) {
  return "Basic " + base64url(login);
}

TEST(Authenticator, a_password_admits_its_user_with_their_rights) {
  const auto caller = authenticator().admit(basic("ada:p:ss wörd"), "ipv4:127.0.0.1:5");
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->user, "ada");
  EXPECT_EQ(caller->role, UserRole::kReader);
  EXPECT_EQ(caller->pools, std::vector<std::string>{"main_db"});
  EXPECT_TRUE(authenticator().admit("bAsIc " + base64url("bob:other"), "").ok());
}

TEST(Authenticator, what_is_wrong_is_refused_without_a_hint) {
  const Authenticator all = authenticator();
  const std::string wrong = all.admit(basic("ada:other"), "").status().message();
  EXPECT_EQ(wrong, all.admit(basic("nobody:other"), "").status().message());
  for (const std::string& header :
       {std::string(), std::string("Basic"), std::string("Basic !!!"), basic("ada"), basic(":"),
        basic("ada:"), std::string("Bearer "), std::string("Bearer x"), std::string("Bearer cnt1."),
        std::string("Bearer cnt1.."), std::string("Digest x"), std::string(100'000, 'x')}) {
    const auto caller = all.admit(header, "");
    ASSERT_FALSE(caller.ok()) << header.substr(0, 40);
    EXPECT_EQ(error_kind(caller.status()), ErrorKind::kAuthentication);
    EXPECT_EQ(caller.status().message().find("p:ss"), std::string::npos);
  }
}

TEST(Authenticator, a_token_is_good_at_every_node_with_the_secret_until_it_expires) {
  const auto now = std::chrono::system_clock::now();
  const Authenticator first = authenticator();
  const auto caller = first.admit(basic("ada:p:ss wörd"), "", now);
  ASSERT_TRUE(caller.ok());
  const std::string token = "Bearer " + first.issue(*caller, now);

  const auto elsewhere = authenticator().admit(token, "another peer", now);
  ASSERT_TRUE(elsewhere.ok()) << elsewhere.status();
  EXPECT_EQ(elsewhere->user, "ada");
  EXPECT_EQ(elsewhere->role, UserRole::kReader);
  EXPECT_EQ(elsewhere->pools, std::vector<std::string>{"main_db"});
  EXPECT_FALSE(elsewhere->renew);
  EXPECT_TRUE(authenticator().admit(token, "", now + hours(7))->renew);
  EXPECT_FALSE(authenticator().admit(token, "", now + hours(13)).ok());
  EXPECT_FALSE(authenticator("another secret").admit(token, "", now).ok());
  EXPECT_FALSE(authenticator("").admit(token, "", now).ok());
}

TEST(Authenticator, a_renewed_token_goes_on_with_its_session) {
  const Authenticator all = authenticator();
  const auto first = all.admit("Bearer " + all.issue(*all.admit(basic("bob:other"), "")), "");
  const auto renewed = all.admit("Bearer " + all.issue(*first), "");
  EXPECT_EQ(first->session, renewed->session);
  const auto other = all.admit("Bearer " + all.issue(*all.admit(basic("bob:other"), "")), "");
  EXPECT_NE(first->session, other->session);
}

TEST(Authenticator, a_changed_token_is_refused_at_every_character) {
  const Authenticator all = authenticator();
  const std::string token = all.issue(*all.admit(basic("ada:p:ss wörd"), ""));
  for (size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(all.admit("Bearer " + changed, "").ok()) << i;
  }
  for (size_t cut = 0; cut < token.size(); ++cut) {
    EXPECT_FALSE(all.admit("Bearer " + token.substr(0, cut), "").ok()) << cut;
  }
}

TEST(Authenticator, without_users_everyone_is_admitted_by_their_connection) {
  const Authenticator open({}, "", hours(1));
  EXPECT_TRUE(open.is_open());
  EXPECT_TRUE(open.admit("", "a")->user.empty());
  EXPECT_NE(open.admit("", "a")->session, open.admit("", "b")->session);
  const std::string token = open.issue(*open.admit("", "a"));
  EXPECT_EQ(open.admit("Bearer " + token, "b")->session,
            open.admit("Bearer " + token, "c")->session);
}

TEST(Crypto, base64_comes_back) {
  for (const std::string& bytes : {std::string(), std::string("a"), std::string("ab"),
                                   std::string("abc"), std::string("\0\xff\x80", 3)}) {
    EXPECT_EQ(*from_base64(base64url(bytes)), bytes);
  }
  EXPECT_EQ(*from_base64("YWI="), "ab");
  EXPECT_FALSE(from_base64("a b").ok());
  EXPECT_NE(random_id(), random_id());
  EXPECT_EQ(random_id().size(), 22U);
}

}  // namespace
}  // namespace cenote::node
