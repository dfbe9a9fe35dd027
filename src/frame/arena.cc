// A block begins with the count of those who keep it.
#include "frame/arena.h"

#include <atomic>
#include <cstring>
#include <new>

#include <arrow/buffer.h>
#include <arrow/memory_pool.h>

namespace cenote {

struct Arena::Block {
  std::atomic<int64_t> users{1};
  int64_t size = 0;
};

bool Arena::fits(int64_t bytes) {
  if (bytes > capacity_ - used_) return false;
  if (block_ != nullptr) return true;
  const int64_t size = capacity_ + kAlignment;
  uint8_t* memory = nullptr;
  if (!arrow::default_memory_pool()->Allocate(size, kAlignment, &memory).ok()) return false;
  block_ = new (memory) Block;
  block_->size = size;
  return true;
}

uint8_t* Arena::carve(int64_t bytes, int64_t alignment) {
  const int64_t at = (used_ + alignment - 1) / alignment * alignment;
  if (!fits(at - used_ + bytes)) return nullptr;
  used_ = at + bytes;
  return reinterpret_cast<uint8_t*>(block_) + kAlignment + at;
}

std::shared_ptr<arrow::Buffer> Arena::copy(const uint8_t* data, int64_t bytes) {
  // The buffer's object keeps the block, so it must be in it.
  if (!fits(kAlignment + bytes + static_cast<int64_t>(sizeof(arrow::Buffer)) + kOverhead)) {
    return nullptr;
  }
  uint8_t* const place = carve(bytes, kAlignment);
  if (bytes > 0) std::memcpy(place, data, static_cast<size_t>(bytes));
  return make<arrow::Buffer>(place, bytes);
}

void Arena::keep(Block* block) noexcept {
  block->users.fetch_add(1, std::memory_order_relaxed);
}

void Arena::drop(Block* block) noexcept {
  if (block->users.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const int64_t size = block->size;
  arrow::default_memory_pool()->Free(reinterpret_cast<uint8_t*>(block), size, kAlignment);
}

}  // namespace cenote
