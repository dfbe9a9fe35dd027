// The file under an SQLite pool: a full disk, a file that may not be written, one that goes away.
#include <sys/mount.h>
#include <sys/resource.h>

#include "faults/pools.h"

namespace cenote {
namespace {

class SqliteFile : public SqliteFault {
 protected:
  ~SqliteFile() override {
    pool_.reset();
    if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
  }
  // A disk of `size` over the folder; false where we may not mount.
  bool mount_disk(const std::string& size) {
    mounted_ = ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
    return mounted_;
  }
  void make_shop() {
    const auto pool = open_pool(config());
    ASSERT_TRUE(pool->execute("create table item (id integer primary key, body blob)").ok());
    ASSERT_TRUE(pool->execute("insert into item values (1, 'one')").ok());
  }
  void expect_full(const Status& status) const {
    expect_clear(status, ErrorKind::kOperational, "shop");
    EXPECT_NE(status.message().find("free space on the disk"), std::string::npos) << status;
    EXPECT_FALSE(counts_against_target(status));
    EXPECT_EQ(pool_->get_status().active, 0);
  }

  std::shared_ptr<LocalPool> pool_;
  bool mounted_ = false;
};

constexpr const char* kTooMuch =
    "insert into item (body) with recursive n(i) as (select 1 union all select i + 1 from n where "
    "i "
    "< 200) select zeroblob(100000) from n";

TEST_F(SqliteFile, a_full_disk_keeps_nothing_of_the_statement_and_the_pool_goes_on) {
  if (!mount_disk("4m")) GTEST_SKIP() << "mounting is not allowed here";
  make_shop();
  pool_ = open_pool(config());
  expect_full(pool_->execute(kTooMuch).status());
  EXPECT_EQ(value(*pool_, "select count(*) from item"), "1");
  // In a transaction, by a bulk insert and by a stream of returned rows too.
  auto transaction = pool_->begin();
  ASSERT_TRUE(transaction.ok()) << transaction.status();
  EXPECT_FALSE(transaction->execute(kTooMuch).ok());
  EXPECT_TRUE(transaction->rollback().ok());
  arrow::BinaryBuilder builder;
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(builder.Append(std::string(100'000, 'x')).ok());
  const auto batch = arrow::RecordBatch::Make(
      arrow::schema({arrow::field("body", arrow::binary())}), 200, {*builder.Finish()});
  const auto rows = *arrow::RecordBatchReader::Make({batch});
  expect_full(pool_->ingest({"item", IngestMode::kAppend}, *rows).status());
  EXPECT_FALSE(pool_->execute_stream(std::string(kTooMuch) + " returning id").ok());
  EXPECT_EQ(value(*pool_, "select count(*) from item"), "1");
  ASSERT_TRUE(pool_->execute("insert into item values (2, 'two')").ok());
  EXPECT_EQ(value(*pool_, "pragma integrity_check"), "ok");
  EXPECT_EQ(sessions(folder_ / "shop.db"), pool_->get_status().total);
}

TEST_F(SqliteFile, a_full_disk_is_told_when_the_database_is_made) {
  if (!mount_disk("16k")) GTEST_SKIP() << "mounting is not allowed here";
  std::ofstream(folder_ / "filler") << std::string(16'384, 'x');
  pool_ = open_pool(config());
  const Status status = pool_->execute("create table t (a)").status();
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("disk"), std::string::npos) << status;
  EXPECT_EQ(error_detail(status)->pool, "shop");
  fs::remove(folder_ / "filler");
}

TEST_F(SqliteFile, a_full_quota_of_pages_is_like_a_full_disk) {
  make_shop();
  PoolConfig config = this->config();
  config.config["max_page_count"] = "20";
  pool_ = open_pool(std::move(config));
  expect_full(pool_->execute(kTooMuch).status());
  ASSERT_TRUE(pool_->execute("insert into item values (2, 'two')").ok());
  EXPECT_EQ(value(*pool_, "select count(*) from item"), "2");
}

// What may read a database and not write it.
class ReadOnlyFile : public SqliteFile {
 protected:
  void expect_reads_only() {
    EXPECT_EQ(value(*pool_, "select count(*) from item"), "1");
    const Status status = pool_->execute("insert into item values (2, 'two')").status();
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(error_detail(status)->pool, "shop");
    EXPECT_NE(status.message().find("shop.db"), std::string::npos) << status;
    EXPECT_TRUE(status.message().find("read") != std::string::npos ||
                status.message().find("permission") != std::string::npos ||
                status.message().find("may be written") != std::string::npos)
        << status;
    EXPECT_EQ(value(*pool_, "select count(*) from item"), "1");
    EXPECT_EQ(pool_->get_status().active, 0);
  }
};

TEST_F(ReadOnlyFile, by_configuration) {
  make_shop();
  PoolConfig config = this->config();
  config.config["read_only"] = "true";
  pool_ = open_pool(std::move(config));
  expect_reads_only();
}

TEST_F(ReadOnlyFile, by_uri) {
  make_shop();
  pool_ = open_pool(config("file:" + (folder_ / "shop.db").string() + "?mode=ro"));
  expect_reads_only();
}

// In WAL mode a reader has to write beside the file: where it may not, the error says what may be
// done, and each of it works.
class Unwritable : public ReadOnlyFile {
 protected:
  void make_shop_in_mode(const char* journal) {
    PoolConfig config = this->config();
    config.config["journal_mode"] = journal;
    const auto pool = open_pool(std::move(config));
    ASSERT_TRUE(pool->execute("create table item (id integer primary key, body blob)").ok());
    ASSERT_TRUE(pool->execute("insert into item values (1, 'one')").ok());
  }
  void expect_told_what_to_do() {
    pool_ = open_pool(config());
    const Status status = pool_->execute_query("select count(*) from item").status();
    expect_clear(status, ErrorKind::kConnection, "shop");
    EXPECT_NE(status.message().find("immutable=1"), std::string::npos) << status;
    EXPECT_EQ(pool_->get_status().total, 0);
    pool_ = open_pool(config("file:" + (folder_ / "shop.db").string() + "?immutable=1"));
    expect_reads_only();
  }
};

TEST_F(Unwritable, by_its_disk) {
  for (const char* journal : {"delete", "wal"}) {
    if (!mount_disk("4m")) GTEST_SKIP() << "mounting is not allowed here";
    make_shop_in_mode(journal);
    ASSERT_EQ(::mount("tmpfs", folder_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, ""), 0);
    if (std::string_view(journal) == "delete") {
      pool_ = open_pool(config());
      expect_reads_only();
    } else {
      expect_told_what_to_do();
    }
    pool_.reset();
    ::umount2(folder_.c_str(), MNT_DETACH);
  }
  mounted_ = false;
}

TEST_F(Unwritable, by_the_rights_of_the_user) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  for (const char* journal : {"delete", "wal"}) {
    fs::remove(folder_ / "shop.db");
    make_shop_in_mode(journal);
    ::chmod(folder_.c_str(), 0755);
    ::chmod((folder_ / "shop.db").c_str(), 0644);
    ASSERT_EQ(::seteuid(65534), 0);
    if (std::string_view(journal) == "delete") {
      pool_ = open_pool(config());
      expect_reads_only();
    } else {
      expect_told_what_to_do();
    }
    pool_.reset();
    ASSERT_EQ(::seteuid(0), 0);
  }
}

TEST_F(SqliteFile, a_folder_that_is_not_there_is_told_and_works_once_it_is) {
  const fs::path file = folder_ / "later" / "shop.db";
  pool_ = open_pool(config(file.string()));
  const Status status = pool_->execute_query("select 1").status();
  expect_clear(status, ErrorKind::kConnection, "shop");
  EXPECT_NE(status.message().find(file.string()), std::string::npos) << status;
  EXPECT_NE(status.message().find("folder exists"), std::string::npos) << status;
  EXPECT_EQ(pool_->get_status().total, 0);
  fs::create_directory(folder_ / "later");
  EXPECT_EQ(value(*pool_, "select 1"), "1");
}

TEST_F(SqliteFile, what_is_no_database_is_told) {
  std::ofstream(folder_ / "shop.db") << std::string(10'000, 'x');
  pool_ = open_pool(config());
  const Status status = pool_->execute_query("select 1").status();
  expect_clear(status, ErrorKind::kConnection, "shop");
  EXPECT_NE(status.message().find("not an SQLite database"), std::string::npos) << status;
  EXPECT_EQ(sessions(folder_ / "shop.db"), 0);
}

TEST_F(SqliteFile, a_file_replaced_under_the_pool_is_opened_anew) {
  make_shop();
  pool_ = open_pool(config());
  ASSERT_TRUE(pool_->execute("insert into item values (2, 'old')").ok());
  ASSERT_EQ(value(*pool_, "select count(*) from item"), "2");
  for (const char* suffix : {"", "-wal", "-shm"}) {
    fs::remove((folder_ / "shop.db").string() + suffix);
  }
  make_shop();
  // Each open connection may tell once that its file is gone; nothing is written into it.
  Status status;
  int refusals = -1;
  do {
    status = pool_->execute("insert into item values (3, 'new')").status();
    ++refusals;
    if (!status.ok()) expect_clear(status, ErrorKind::kConnection, "shop");
  } while (!status.ok() && refusals < 2);
  EXPECT_TRUE(status.ok()) << status;
  pool_->connection_pool().clear();
  EXPECT_EQ(value(*pool_, "select group_concat(id) from (select id from item order by id)"), "1,3");
  EXPECT_EQ(sessions(folder_ / "shop.db (deleted)"), 0);
}

TEST_F(SqliteFile, a_pool_that_is_gone_leaves_no_file_open) {
  make_shop();
  pool_ = open_pool(config());
  ASSERT_EQ(value(*pool_, "select count(*) from item"), "1");
  EXPECT_EQ(sessions(folder_ / "shop.db"), 1);
  auto stream = pool_->execute_stream("select * from item");
  ASSERT_TRUE(stream.ok());
  pool_.reset();
  stream->reset();
  EXPECT_EQ(sessions(folder_ / "shop.db"), 0);
}

}  // namespace
}  // namespace cenote
