// One allocation for all that a small frame is made of: its values, buffers, arrays and columns. Of
// a point query each of these objects would otherwise cost more than its values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include <arrow/type_fwd.h>

namespace cenote {

// Gives out parts of one block. The block lives until the arena and the last object made in it are
// gone, in whatever thread that is. For one thread; the objects are as shared as any other.
class Arena {
 public:
  // Nothing is allocated before the first use; an arena of 0 bytes is always full.
  explicit Arena(int64_t bytes) : capacity_(bytes) {}
  ~Arena() {
    if (block_ != nullptr) drop(block_);
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // A buffer with a copy of the bytes, aligned as Arrow recommends; null where it does not fit.
  std::shared_ptr<arrow::Buffer> copy(const uint8_t* data, int64_t bytes);

  // A T, in the arena if it fits, else by itself.
  template <typename T, typename... Arguments>
  std::shared_ptr<T> make(Arguments&&... arguments) {
    if (!fits(static_cast<int64_t>(sizeof(T)) + kOverhead)) {
      return std::make_shared<T>(std::forward<Arguments>(arguments)...);
    }
    return std::allocate_shared<T>(Allocator<T>(this), std::forward<Arguments>(arguments)...);
  }

 private:
  struct Block;
  static constexpr int64_t kAlignment = 64;
  // More than what allocate_shared() needs beside its object, and alignment.
  static constexpr int64_t kOverhead = 96;

  template <typename T>
  struct Allocator {
    using value_type = T;
    explicit Allocator(Arena* from) : arena(from), block(from->block_) {}
    template <typename U>
    explicit Allocator(const Allocator<U>& other) : arena(other.arena), block(other.block) {}
    T* allocate(size_t count) {
      keep(block);
      return reinterpret_cast<T*>(
          arena->carve(static_cast<int64_t>(count * sizeof(T)), alignof(std::max_align_t)));
    }
    void deallocate(T*, size_t) noexcept { drop(block); }
    template <typename U>
    bool operator==(const Allocator<U>& other) const {
      return block == other.block;
    }
    Arena* arena;  // while allocating
    Block* block;
  };

  bool fits(int64_t bytes);
  uint8_t* carve(int64_t bytes, int64_t alignment);
  static void keep(Block* block) noexcept;
  static void drop(Block* block) noexcept;

  const int64_t capacity_;
  int64_t used_ = 0;
  Block* block_ = nullptr;
};

}  // namespace cenote
