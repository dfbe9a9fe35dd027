// What every store promises: all or nothing, compare and set, and what was told is there after a
// restart.
#include <filesystem>

#include "coordinator/stores.h"

namespace cenote::coordinator {
namespace {

TEST_P(StoreTest, a_commit_is_all_or_nothing) {
  EXPECT_TRUE(commit({{{"a", 0}}, {{"a", "1"}, {"b", "2"}}, {}}));
  EXPECT_FALSE(commit({{{"a", 0}}, {{"a", "9"}, {"c", "9"}}, {"b"}}));
  EXPECT_EQ(get("a"), "1");
  EXPECT_EQ(get("b"), "2");
  EXPECT_EQ(get("c"), "(absent)");
}

TEST_P(StoreTest, compare_and_set_lets_one_of_two_writers_win) {
  EXPECT_TRUE(commit({{}, {{"head", "1"}}, {}}));
  const uint64_t seen = version("head");
  EXPECT_TRUE(commit({{{"head", seen}}, {{"head", "2"}}, {}}));
  EXPECT_FALSE(commit({{{"head", seen}}, {{"head", "3"}}, {}}));
  EXPECT_EQ(get("head"), "2");
}

TEST_P(StoreTest, a_key_made_anew_never_has_an_old_version) {
  EXPECT_TRUE(commit({{}, {{"k", "1"}}, {}}));
  const uint64_t first = version("k");
  EXPECT_TRUE(commit({{}, {}, {"k"}}));
  EXPECT_TRUE(commit({{{"k", 0}}, {{"k", "2"}}, {}}));
  EXPECT_GT(version("k"), first);
  EXPECT_FALSE(commit({{{"k", first}}, {{"k", "3"}}, {}}));
}

TEST_P(StoreTest, a_list_has_the_prefix_and_nothing_else) {
  EXPECT_TRUE(commit(
      {{},
       {{"nodes/b", "2"}, {"nodes/a", "1"}, {"nodes0", "x"}, {"node", "x"}, {"nodes/%", "3"}},
       {}}));
  const auto items = store_->list(context(), "nodes/");
  ASSERT_TRUE(items.ok()) << items.status();
  ASSERT_EQ(items->size(), 3u);
  EXPECT_EQ((*items)[0].key, "nodes/%");
  EXPECT_EQ((*items)[1].key, "nodes/a");
  EXPECT_EQ((*items)[2].value, "2");
}

TEST_P(StoreTest, what_was_committed_is_there_after_a_restart_and_the_term_grows) {
  const std::string text = "ünïcødé \"quoted\" \n and a NUL-free rest";
  EXPECT_TRUE(commit({{}, {{"k", text}}, {}}));
  const uint64_t term = store_->term();
  open();
  EXPECT_EQ(get("k"), text);
  EXPECT_GT(store_->term(), term);
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreTest, testing::ValuesIn(store_cases()),
                         [](const auto& info) { return info.param.name; });

class SqliteStore : public StoreTest {};

TEST_P(SqliteStore, a_second_coordinator_on_the_same_file_is_refused) {
  const auto second = open_sqlite_store(place());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(error_kind(second.status()), ErrorKind::kConfig);
  EXPECT_NE(second.status().message().find("another coordinator"), std::string::npos);
}

TEST_P(SqliteStore, a_state_that_was_lost_or_restored_has_no_term_that_others_have_seen_pass) {
  const uint64_t term = store_->term();
  store_.reset();
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(place() + end);
  open();
  EXPECT_GE(store_->term(), term);
}

TEST_P(SqliteStore, its_file_is_for_this_user_alone) {
  const auto mode = std::filesystem::status(place()).permissions();
  EXPECT_EQ(mode & std::filesystem::perms::others_all, std::filesystem::perms::none);
  EXPECT_EQ(mode & std::filesystem::perms::group_all, std::filesystem::perms::none);
}

TEST_P(SqliteStore, a_folder_that_is_not_there_is_a_clear_error) {
  const auto opened = open_sqlite_store("/nowhere/at/all.db");
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.status().message().find("/nowhere/at/all.db"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Stores, SqliteStore, testing::ValuesIn(sqlite_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace cenote::coordinator
