// An array that grows without moving its elements, so that readers need no lock.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

#include "base/mutex.h"

namespace cenote {

template <typename T>
class StableArray {
 public:
  static constexpr uint32_t kLimit = 16 * ((1U << 16) - 1);

  StableArray() = default;
  StableArray(const StableArray&) = delete;
  StableArray& operator=(const StableArray&) = delete;
  ~StableArray() {
    for (auto& chunk : chunks_) delete[] chunk.load(std::memory_order_relaxed);
  }

  uint32_t size() const { return size_.load(std::memory_order_acquire); }
  // Elements never go away: an index once below size() stays valid.
  T& operator[](uint32_t index) const {
    if (index < kFirst) return chunks_[0].load(std::memory_order_acquire)[index];
    const uint32_t chunk = chunk_of(index);
    return chunks_[chunk].load(std::memory_order_acquire)[index - start_of(chunk)];
  }
  void grow_to(uint32_t size) {
    const Lock lock(mutex_);
    for (uint32_t i = size_.load(std::memory_order_relaxed); i < size; ++i) {
      const uint32_t chunk = chunk_of(i);
      if (i == start_of(chunk))
        chunks_[chunk].store(new T[kFirst << chunk](), std::memory_order_release);
      size_.store(i + 1, std::memory_order_release);
    }
  }

 private:
  // Chunk k holds 16·2^k elements.
  static constexpr uint32_t kFirst = 16;
  static uint32_t chunk_of(uint32_t index) {
    return static_cast<uint32_t>(std::bit_width(index / kFirst + 1)) - 1;
  }
  static uint32_t start_of(uint32_t chunk) { return kFirst * ((1U << chunk) - 1); }

  Mutex mutex_;  // one grows at a time
  std::array<std::atomic<T*>, 16> chunks_{};
  std::atomic<uint32_t> size_{0};
};

}  // namespace cenote
