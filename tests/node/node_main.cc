// A node for the tests of strangers' clients: serves the YAML of its argument, prints where, drains
// at SIGTERM.
#include <iostream>

#include "node/node.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: node_for_tests node.yaml\n";
    return 2;
  }
  cenote::node::Node::block_signals();
  auto config = cenote::load_config(argv[1]);
  if (!config.ok()) {
    std::cerr << config.status().message() << '\n';
    return 3;
  }
  auto node = cenote::node::Node::start(std::move(*config));
  if (!node.ok()) {
    std::cerr << node.status().message() << '\n';
    return 3;
  }
  std::cout << (*node)->location() << std::endl;
  (*node)->run_until_signal();
  return 0;
}
