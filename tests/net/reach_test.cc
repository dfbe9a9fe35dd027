// Where a process lets itself be sent.
#include "net/reach.h"

#include <array>

#include <gtest/gtest.h>

#include "loopback_port.h"

namespace cenote {
namespace {

constexpr std::array<std::string_view, 2> kSchemes = {"grpc", "grpc+tls"};

Status judged(const Reach& reach, const std::string& location) {
  ARROW_ASSIGN_OR_RAISE(const Place place, parse_place(location, kSchemes));
  return reach.addresses(place).status();
}

Reach reach(const std::vector<std::string>& networks = {}, bool loopback = false) {
  return *Reach::make(networks, loopback);
}

TEST(Reach, a_location_is_a_scheme_a_host_and_a_port_and_nothing_else) {
  for (const char* good : {"grpc://node-1.example.org:8815", "grpc+tls://10.0.0.1:1",
                           "grpc://[2001:db8::1]:65535", "grpc://db_node:8815"}) {
    EXPECT_TRUE(parse_place(good, kSchemes).ok()) << good;
  }
  for (const char* bad : {"",
                          "grpc://",
                          "grpc://:8815",
                          "grpc://host",
                          "grpc://host:",
                          "grpc://host:0",
                          "grpc://host:65536",
                          "grpc://host:+1",
                          "grpc://host:1/",
                          "grpc://host:1?a",
                          "grpc:host:1",
                          "http://host:1",
                          "unix:///tmp/s",
                          "grpc://user@host:1",
                          "grpc://user:pw@host:1",
                          "grpc://ho st:1",
                          "grpc://host#:1",
                          "grpc://ho\nst:1",
                          "grpc://2001:db8::1:1",
                          "grpc://[10.0.0.1]:1",
                          "grpc://[::1:1",
                          "grpc://[]:1",
                          "grpc://[fe80::1%lo]:1"}) {
    const auto place = parse_place(bad, kSchemes);
    EXPECT_EQ(error_kind(place.status()), ErrorKind::kConfig) << bad;
  }
}

TEST(Reach, an_address_in_a_spelling_that_only_resolvers_know_is_none) {
  for (const char* host : {"2130706433", "0x7f000001", "0x7f.1", "127.1", "127.0.0.0x1",
                           "0177.0.0.1", "10.0.0.256", "1.2.3.4.5", "10.0.0.1."}) {
    EXPECT_FALSE(parse_place("grpc://" + std::string(host) + ":1", kSchemes).ok()) << host;
  }
}

TEST(Reach, nobody_is_sent_into_the_machine_or_to_what_only_neighbours_reach) {
  const Reach all = reach();
  for (const char* host :
       {"127.0.0.1", "127.9.9.9", "[::1]", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "0.0.0.1",
        "[::]", "169.254.169.254", "169.254.0.1", "[::ffff:169.254.169.254]", "[fe80::1]",
        "[fd00:ec2::254]", "100.100.100.200", "224.0.0.1", "[ff02::1]", "255.255.255.255"}) {
    const Status status = judged(all, "grpc://" + std::string(host) + ":1");
    EXPECT_EQ(error_kind(status), ErrorKind::kConfig) << host;
  }
  for (const char* host :
       {"10.0.0.1", "192.168.1.1", "8.8.8.8", "[2001:db8::1]", "[fd00::1]", "[::ffff:10.0.0.1]"}) {
    EXPECT_EQ(judged(all, "grpc://" + std::string(host) + ":1"), Status::OK()) << host;
  }
}

TEST(Reach, loopback_is_open_to_who_is_there) {
  const Reach beside = reach({}, true);
  for (const char* host : {"127.0.0.1", "[::1]", "localhost", "[::ffff:127.0.0.1]"}) {
    EXPECT_EQ(judged(beside, "grpc://" + std::string(host) + ":1"), Status::OK()) << host;
  }
  EXPECT_FALSE(judged(beside, "grpc://169.254.169.254:1").ok());
  EXPECT_FALSE(judged(beside, "grpc://0.0.0.0:1").ok());
}

TEST(Reach, a_list_of_networks_is_all_that_is_open) {
  const Reach listed = reach({"10.1.0.0/20", "fd00::/8", "127.0.0.2"}, true);
  for (const char* host :
       {"10.1.0.1", "10.1.15.255", "[fd12::1]", "127.0.0.2", "[::ffff:10.1.0.1]"}) {
    EXPECT_EQ(judged(listed, "grpc://" + std::string(host) + ":1"), Status::OK()) << host;
  }
  for (const char* host : {"10.1.16.0", "10.2.0.1", "8.8.8.8", "127.0.0.1", "[fe00::1]"}) {
    const Status status = judged(listed, "grpc://" + std::string(host) + ":1");
    EXPECT_FALSE(status.ok()) << host;
    EXPECT_NE(status.message().find("not among the addresses"), std::string::npos) << status;
  }
  for (const char* bad :
       {"", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "host", "::/129", "/8"}) {
    const std::vector<std::string> networks = {bad};
    EXPECT_EQ(error_kind(Reach::make(networks, false).status()), ErrorKind::kConfig) << bad;
  }
}

TEST(Reach, a_name_is_judged_by_what_it_means) {
  const Status status = judged(reach(), "grpc://localhost:1");
  EXPECT_NE(status.message().find("'localhost', which is "), std::string::npos) << status;
  EXPECT_TRUE(is_loopback(*parse_place("grpc://localhost:1", kSchemes)));
  EXPECT_TRUE(is_loopback(*parse_place("grpc://[::1]:1", kSchemes)));
  EXPECT_FALSE(is_loopback(*parse_place("grpc://node:1", kSchemes)));
}

TEST(Reach, a_port_refuses_where_nobody_listens) {
  LoopbackPort port;
  const Deadline deadline = Deadline::in(std::chrono::seconds(20));
  EXPECT_TRUE(is_refused("127.0.0.1", port.number(), deadline)) << "bound, but nobody listens";
  port.listen(1);
  EXPECT_FALSE(is_refused("127.0.0.1", port.number(), deadline));
}

}  // namespace
}  // namespace cenote
