// What is made in an arena outlives it, wherever it ends.
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "frame/arena.h"
#include "frame/table.h"

namespace cenote {
namespace {

std::shared_ptr<arrow::Buffer> copy(Arena& arena, const std::string& text) {
  return arena.copy(reinterpret_cast<const uint8_t*>(text.data()),
                    static_cast<int64_t>(text.size()));
}

// int32 1, 2, 3.
std::shared_ptr<arrow::Array> numbers(Arena& arena) {
  const int32_t values[] = {1, 2, 3};
  std::vector<std::shared_ptr<arrow::Buffer>> buffers(2);
  buffers[1] = arena.copy(reinterpret_cast<const uint8_t*>(values), sizeof values);
  return arena.make<arrow::Int32Array>(
      arena.make<arrow::ArrayData>(arrow::int32(), 3, std::move(buffers), 0));
}

TEST(Arena, objects_outlive_it_and_all_memory_returns) {
  const int64_t before = arrow::default_memory_pool()->bytes_allocated();
  std::shared_ptr<arrow::Array> array;
  {
    Arena arena(2048);
    array = numbers(arena);
  }
  EXPECT_GT(arrow::default_memory_pool()->bytes_allocated(), before);
  EXPECT_TRUE(array->ValidateFull().ok());
  EXPECT_EQ(static_cast<const arrow::Int32Array&>(*array).Value(2), 3);
  const auto slice = array->Slice(1);
  array.reset();
  EXPECT_EQ(static_cast<const arrow::Int32Array&>(*slice).Value(0), 2);
  const auto buffer = slice->data()->buffers[1];
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % 64, 0U);
}

TEST(Arena, the_last_object_gives_the_memory_back_in_whatever_thread) {
  const int64_t before = arrow::default_memory_pool()->bytes_allocated();
  for (int i = 0; i < 500; ++i) {
    std::vector<std::thread> threads;
    {
      Arena arena(2048);
      const auto array = numbers(arena);
      for (int t = 0; t < 2; ++t) {
        threads.emplace_back([array] { EXPECT_EQ(array->length(), 3); });
      }
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(arrow::default_memory_pool()->bytes_allocated(), before);
}

TEST(Arena, a_full_one_copies_nothing_and_makes_objects_by_themselves) {
  Arena arena(768);
  const std::string text(300, 'x');
  EXPECT_EQ(copy(arena, std::string(4096, 'x')), nullptr);
  const auto first = copy(arena, text);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(copy(arena, text), nullptr);
  std::vector<std::shared_ptr<std::string>> strings;
  for (int i = 0; i < 100; ++i) strings.push_back(arena.make<std::string>(text));
  for (const auto& string : strings) EXPECT_EQ(*string, text);
  EXPECT_EQ(first->ToString(), text);
  Arena none(0);
  EXPECT_EQ(copy(none, ""), nullptr);
  EXPECT_EQ(*none.make<std::string>("a"), "a");
}

TEST(TableOf, one_batch_and_several_make_valid_tables) {
  const auto schema = arrow::schema({arrow::field("n", arrow::int32())});
  Arena arena(4096);
  const auto batch = arrow::RecordBatch::Make(schema, 3, {numbers(arena)});
  for (const size_t count : {0U, 1U, 3U}) {
    const auto table = table_of(schema, arrow::RecordBatchVector(count, batch)).ValueOrDie();
    EXPECT_TRUE(table->ValidateFull().ok());
    EXPECT_EQ(table->num_rows(), static_cast<int64_t>(3 * count));
    EXPECT_TRUE(table->schema()->Equals(*schema));
  }
  const auto other = arrow::schema({arrow::field("m", arrow::utf8())});
  EXPECT_FALSE(table_of(other, {batch}).ok());
  const auto empty = arrow::schema({});
  const auto rows = arrow::RecordBatch::Make(empty, 7, arrow::ArrayVector());
  EXPECT_EQ(table_of(empty, {rows}).ValueOrDie()->num_rows(), 7);
}

}  // namespace
}  // namespace cenote
