// By OpenSSL.
#include "base/sha256.h"

#include <array>
#include <cstdio>

#include <openssl/evp.h>

namespace cenote {

std::string sha256(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    std::array<char, 3> two{};
    std::snprintf(two.data(), two.size(), "%02x", digest.at(i));
    hex += two.data();
  }
  return hex;
}

}  // namespace cenote
