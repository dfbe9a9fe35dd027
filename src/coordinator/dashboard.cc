// Which of a file's two forms a browser gets, and the headers that fence the page in.
#include "coordinator/dashboard.h"

#include <string>

namespace cenote::coordinator {
namespace {

// Nothing from elsewhere and nothing inline runs, so that a name that looks like markup could do
// nothing even if it got past the escaping.
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'";

bool accepts_gzip(std::string_view header) {
  const size_t at = header.find("gzip");
  return at != std::string_view::npos && !header.substr(at).starts_with("gzip;q=0");
}

HttpResponse answer(const DashboardFile& file, const HttpRequest& http) {
  const bool gzip = !file.gzipped.empty() && accepts_gzip(http.header("accept-encoding"));
  const std::string tag = "\"" + std::string(file.hash) + (gzip ? "-gz\"" : "\"");
  HttpResponse response;
  response.content_type = file.content_type;
  response.headers = {
      {"ETag", tag},
      {"Vary", "Accept-Encoding"},
      {"Cache-Control", file.named_by_hash ? "public, max-age=31536000, immutable" : "no-cache"},
      {"Content-Security-Policy", std::string(kPolicy)},
      {"X-Content-Type-Options", "nosniff"},
      {"X-Frame-Options", "DENY"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
  };
  if (http.header("if-none-match") == tag) {
    response.status = 304;
    return response;
  }
  if (gzip) response.headers.emplace_back("Content-Encoding", "gzip");
  response.body = gzip ? file.gzipped : file.plain;
  return response;
}

}  // namespace

std::vector<HttpRoute> dashboard_routes() {
  std::vector<HttpRoute> routes;
  for (const DashboardFile& file : dashboard_files()) {
    HttpRoute route;
    route.path = file.path;
    route.handler = [&file](const HttpRequest& http) { return answer(file, http); };
    routes.push_back(std::move(route));
  }
  return routes;
}

}  // namespace cenote::coordinator
