// The dashboard's files over HTTP. They hold no data and need no token: what the page shows it asks
// of the API, with the token that its reader gives it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "net/http_routes.h"

namespace cenote::coordinator {

// A file of web/, as tools/build-dashboard.py put it into the program.
struct DashboardFile {
  std::string_view path;  // "/assets/index-Bx3f.js"; "/" is the page
  std::string_view content_type;
  std::string_view hash;     // of the bytes: the entity tag
  bool named_by_hash;        // other bytes have another path, so browsers may keep it
  std::string_view plain;    // the bytes
  std::string_view gzipped;  // empty: not worth it
};
std::span<const DashboardFile> dashboard_files();  // generated

std::vector<HttpRoute> dashboard_routes();

}  // namespace cenote::coordinator
