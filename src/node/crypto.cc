// Thin calls of OpenSSL.
#include "node/crypto.h"

#include <array>
#include <cstdint>
#include <cstdlib>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

namespace cenote::node {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

std::string random_id(size_t bytes) {
  std::string raw(bytes, '\0');
  // Without randomness no handle of ours would be safe: better no process than a guessable one.
  if (RAND_bytes(reinterpret_cast<unsigned char*>(raw.data()), static_cast<int>(bytes)) != 1) {
    std::abort();
  }
  return base64url(raw);
}

std::string hmac(std::string_view key, std::string_view data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(data.data()), data.size(), out.data(), &size);
  return {reinterpret_cast<const char*>(out.data()), size};
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  // Over digests, so that not even the length shows.
  static const std::string key = random_id(32);
  const std::string first = hmac(key, a);
  const std::string second = hmac(key, b);
  return CRYPTO_memcmp(first.data(), second.data(), first.size()) == 0;
}

std::string base64url(std::string_view bytes) {
  std::string text;
  uint32_t bits = 0;
  int held = 0;
  for (const char c : bytes) {
    bits = (bits << 8U) | static_cast<unsigned char>(c);
    for (held += 8; held >= 6; held -= 6) {
      text.push_back(kAlphabet[(bits >> static_cast<unsigned>(held - 6)) & 63U]);
    }
  }
  if (held > 0) text.push_back(kAlphabet[(bits << static_cast<unsigned>(6 - held)) & 63U]);
  return text;
}

Result<std::string> from_base64(std::string_view text) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  std::string bytes;
  uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const char url = c == '+' ? '-' : c == '/' ? '_' : c;
    const size_t value = kAlphabet.find(url);
    if (value == std::string_view::npos) {
      return make_error(ErrorKind::kInterface, "text that must be base64 holds another character");
    }
    bits = (bits << 6U) | static_cast<uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes.push_back(static_cast<char>((bits >> static_cast<unsigned>(held)) & 255U));
    }
  }
  return bytes;
}

}  // namespace cenote::node
