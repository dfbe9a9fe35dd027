// The resolver of a test program: names that end in ".hangs" are not answered until they are let
// go; all others go to the system's. Include it in one file of the program.
#pragma once

#include <condition_variable>
#include <map>
#include <string>
#include <string_view>

#include <dlfcn.h>
#include <netdb.h>

#include "base/mutex.h"

namespace cenote {

class HangingResolver {
 public:
  // For the life of a test; its end lets all go.
  HangingResolver() {
    const Lock lock(state().mutex);
    state().hangs = true;
  }
  HangingResolver(const HangingResolver&) = delete;
  HangingResolver& operator=(const HangingResolver&) = delete;
  ~HangingResolver() { let_go(); }

  static void let_go() {
    const Lock lock(state().mutex);
    state().hangs = false;
    state().changed.notify_all();
  }
  // How often that name was asked for, which hangs.
  static int asked(const std::string& name) {
    const Lock lock(state().mutex);
    return state().asked[name];
  }
  static void wait(const std::string& name) {
    Lock lock(state().mutex);
    ++state().asked[name];
    while (state().hangs) state().changed.wait(lock);
  }

 private:
  struct State {
    Mutex mutex;
    std::condition_variable_any changed;
    bool hangs = false;
    std::map<std::string, int> asked;
  };
  // Never destroyed: a look-up may outlive main().
  static State& state() {
    static auto* const state = new State;
    return *state;
  }
};

}  // namespace cenote

// In the place of the C library's. A name that was let go is this machine.
extern "C" __attribute__((visibility("default"))) int getaddrinfo(const char* name,
                                                                  const char* service,
                                                                  const addrinfo* hints,
                                                                  addrinfo** found) {
  using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto system = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  const bool number = hints != nullptr && (hints->ai_flags & AI_NUMERICHOST) != 0;
  if (number || name == nullptr || !std::string_view(name).ends_with(".hangs")) {
    return system(name, service, hints, found);
  }
  cenote::HangingResolver::wait(name);
  return system("127.0.0.1", service, hints, found);
}
