// The program `cenote`.
#include <cstdio>
#include <exception>

#include "cli/app.h"

int main(int argc, char** argv) {
  try {
    return cenote::cli::run(argc, argv);
  } catch (const std::exception& error) {  // of libraries; ours do not throw
    std::fprintf(stderr, "cenote: %s\n", error.what());
    return 1;
  }
}
