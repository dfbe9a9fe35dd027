// `cenote dev up`: a coordinator, two nodes and the sample shop on this machine, gone at the end.
#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mutex.h"
#include "cli/child.h"
#include "cli/cluster.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/shop.h"
#include "cli/verbs.h"

namespace cenote::cli {
namespace {

constexpr Duration kStart = std::chrono::seconds(30);
constexpr Duration kRegister = std::chrono::seconds(10);
constexpr Duration kEnd = std::chrono::seconds(10);
constexpr Duration kLook = std::chrono::milliseconds(200);

// A temporary folder that goes even when this process is killed: a helper, forked before any
// thread, waits for the end of a pipe that only this process holds.
class Folder {
 public:
  static Result<Folder> make() {
    std::error_code error;
    std::string path = (std::filesystem::temp_directory_path(error) / "cenote-dev-XXXXXX").string();
    std::array<int, 2> alive{};
    if (error || ::mkdtemp(path.data()) == nullptr || ::pipe2(alive.data(), O_CLOEXEC) != 0) {
      return make_error(ErrorKind::kOperational,
                        "no folder can be made in " +
                            std::filesystem::path(path).parent_path().string() +
                            "; set TMPDIR to one that can be written");
    }
    const pid_t helper = ::fork();
    if (helper == 0) {
      ::setpgid(0, 0);
      ::close(alive[1]);
      char end = 0;
      while (::read(alive[0], &end, 1) < 0 && errno == EINTR) {
      }
      remove(path);
      ::_exit(0);
    }
    ::close(alive[0]);
    return Folder(path, alive[1], helper);
  }
  Folder(Folder&& other) noexcept
      : path_(std::move(other.path_)),
        alive_(std::exchange(other.alive_, -1)),
        helper_(std::exchange(other.helper_, -1)) {}
  Folder& operator=(Folder&&) = delete;
  ~Folder() {
    if (alive_ < 0) return;
    ::close(alive_);
    if (helper_ > 0) ::waitpid(helper_, nullptr, 0);
  }

  std::string file(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  Folder(std::string path, int alive, pid_t helper)
      : path_(std::move(path)), alive_(alive), helper_(helper) {}

  // Children that are being killed at this moment may still make a file.
  static void remove(const std::string& path) {
    for (int tried = 0; tried < 20; ++tried) {
      std::error_code error;
      std::filesystem::remove_all(path, error);
      if (!error) return;
      ::usleep(50'000);
    }
  }

  std::string path_;
  int alive_;
  pid_t helper_;
};

struct DevUp {
  int port = 0;  // of the coordinator; the nodes' are the next two; 0: free ones
  int max_connections = 8;

  int run() const;

 private:
  Result<std::string> start(const Folder& folder, const CallContext& context,
                            std::vector<Child>* children) const;
  void write_node(const Folder& folder, int number, const std::string& coordinator) const;
};

std::string node_id(int number) {
  return "node-" + std::to_string(number);
}

void DevUp::write_node(const Folder& folder, int number, const std::string& coordinator) const {
  const std::string id = node_id(number);
  std::ofstream out(folder.file(id + ".yaml"));
  out << "deployment:\n"
         "  mode: coordinated\n"
         "  coordinator: {endpoint: \""
      << coordinator << "\"}\n  node: {id: " << id << ", state_dir: \"" << folder.file(id)
      << "\"}\n  pools:\n    - id: shop\n      type: sqlite\n      config: {database: \""
      << folder.file("shop.db") << "\"}\n      pool: {max_readers: "
      << max_connections - 1  // SQLite's one writer beside them
      << "}\nserver:\n  node_id: " << id << "\n  drain_timeout: 5s\n"
      << "  flight: {listen: \"127.0.0.1:" << (port == 0 ? 0 : port + number) << "\"}\n";
}

// Waits until the coordinator lists both nodes as up.
Status wait_for_members(const std::string& coordinator, const CallContext& context) {
  ClusterOptions options;
  options.url = coordinator;
  ARROW_ASSIGN_OR_RAISE(Cluster cluster, Cluster::open(options, {}, context.stop));
  Mutex mutex;
  std::condition_variable_any never;
  while (!context.deadline.passed()) {
    ARROW_ASSIGN_OR_RAISE(const cluster::Snapshot all, cluster.nodes());
    const auto up = std::count_if(all.nodes.begin(), all.nodes.end(), [](const auto& node) {
      return node.state == cluster::NodeState::kUp;
    });
    if (up >= 2) return Status::OK();
    Lock lock(mutex);
    never.wait_until(lock, context.stop, Deadline::in(kLook).at(), [] { return false; });
    if (context.stop.stop_requested()) return make_error(ErrorKind::kCancelled, "cancelled");
  }
  return make_error(ErrorKind::kQueryTimeout,
                    "the nodes have not registered yet at " + coordinator);
}

Result<std::string> DevUp::start(const Folder& folder, const CallContext& context,
                                 std::vector<Child>* children) const {
  ARROW_RETURN_NOT_OK(make_shop(folder.file("shop.db")));
  const std::string listen = "127.0.0.1:" + std::to_string(port);
  ARROW_ASSIGN_OR_RAISE(Child first, Child::start("the coordinator",
                                                  {"coordinator", "--listen", listen, "--state",
                                                   folder.file("coordinator.db")},
                                                  folder.file("coordinator.log")));
  children->push_back(std::move(first));
  ARROW_ASSIGN_OR_RAISE(const std::string coordinator, children->back().first_line(context));
  std::string told = "coordinator  " + coordinator + "\n";
  for (const int number : {1, 2}) {
    const std::string id = node_id(number);
    write_node(folder, number, coordinator);
    ARROW_ASSIGN_OR_RAISE(Child node, Child::start(id, {"node", "-c", folder.file(id + ".yaml")},
                                                   folder.file(id + ".log")));
    children->push_back(std::move(node));
  }
  std::string last_location;
  for (const int number : {1, 2}) {
    ARROW_ASSIGN_OR_RAISE(const std::string location,
                          (*children)[static_cast<size_t>(number)].first_line(context));
    told += node_id(number) + "       " + location + "\n";
    last_location = location;
  }
  std::ofstream(folder.file("cenote.yaml"))
      << "deployment:\n  mode: coordinated\n  coordinator: {endpoint: \"" << coordinator << "\"}\n";
  const Status members = wait_for_members(coordinator, {Deadline::in(kRegister), context.stop});
  // Still worth a look: the logs are there, and the nodes go on trying.
  if (error_kind(members) == ErrorKind::kQueryTimeout) {
    std::fprintf(stderr, "cenote: %s; see node-1.log in %s\n", members.message().c_str(),
                 folder.path().c_str());
  } else {
    ARROW_RETURN_NOT_OK(members);
  }
  const std::string yaml = folder.file("cenote.yaml");
  return told + "files        " + folder.path() + "\n\nTry, in another terminal:\n" +
         "  cenote members -c " + yaml + "\n  cenote query -c " + yaml +
         " -p shop \"select city, count(*) from customers group by city\"\n" +
         "  cenote drain node-1 --yes --wait -c " + yaml +
         "\nIn Python, by any client of Arrow Flight SQL, as adbc-driver-flightsql:\n"
         "  import adbc_driver_flightsql.dbapi as flight\n"
         "  with flight.connect(\"" +
         last_location +
         "\") as node, node.cursor() as cursor:\n"
         "      cursor.execute(\"select count(*) from orders\"); print(cursor.fetchall())\n\n"
         "Ctrl-C ends all of it.\n";
}

// Until a wish to stop; says which children end before. False if none is left.
bool watch(std::vector<Child>& children, const std::stop_token& stop) {
  std::vector<bool> told(children.size(), false);
  while (!stop.stop_requested()) {
    std::vector<pollfd> ends;
    for (size_t i = 0; i < children.size(); ++i) {
      std::string how;
      if (!told[i] && children[i].ended(&how)) {
        told[i] = true;
        std::fprintf(stderr, "cenote: %s has ended (%s)\n", children[i].name().c_str(),
                     how.c_str());
      }
      if (!told[i]) ends.push_back({children[i].pidfd(), POLLIN, 0});
    }
    if (ends.empty()) return false;
    const auto look = std::chrono::duration_cast<std::chrono::milliseconds>(kLook).count();
    ::poll(ends.data(), ends.size(), static_cast<int>(look));
  }
  return true;
}

int DevUp::run() const {
  // First of all: both fork.
  Result<Folder> folder = Folder::make();
  if (!folder.ok()) return fail(folder.status());
  const Interrupt interrupt;
  std::vector<Child> children;
  children.reserve(3);
  const CallContext context{Deadline::in(kStart), interrupt.token()};
  const Result<std::string> told = start(*folder, context, &children);
  int code = kOk;
  if (told.ok()) {
    std::fputs(told->c_str(), stdout);
    std::fflush(stdout);
    if (!watch(children, interrupt.token())) code = fail(kQueryFailed, "all of it has ended");
  } else if (!interrupt.happened()) {
    code = fail_cluster(told.status());
  }
  // The nodes first: they take leave of the coordinator.
  const Deadline deadline = Deadline::in(kEnd);
  for (size_t i = children.size(); i-- > 1;) children[i].ask_to_end();
  for (size_t i = children.size(); i-- > 1;) children[i].reap(deadline);
  if (!children.empty()) {
    children.front().ask_to_end();
    children.front().reap(deadline);
  }
  return code;
}

}  // namespace

void add_dev(CLI::App& app, Command* command) {
  CLI::App* dev = app.add_subcommand("dev", "A whole cluster on this machine, to try things on");
  dev->require_subcommand(1);
  auto up = std::make_shared<DevUp>();
  CLI::App* verb = dev->add_subcommand(
      "up",
      "Start a coordinator, two nodes and a sample shop on loopback, and print what to try; all is "
      "gone at Ctrl-C");
  verb->add_option("--port", up->port,
                   "Port of the coordinator; the nodes take the next two. 0: free ones")
      ->check(CLI::Range(0, 65'533))
      ->capture_default_str();
  verb->add_option("--max-connections", up->max_connections,
                   "Of the shop's pool on each node, one of them for writing")
      ->check(CLI::Range(2, 1'000))
      ->capture_default_str();
  verb->callback([up, command] { *command = [up] { return up->run(); }; });
}

}  // namespace cenote::cli
