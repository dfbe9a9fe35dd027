// `cenote completion bash|zsh|fish`: scripts made of CLI11's tree, so that they know every verb and
// option.
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/exit_code.h"
#include "cli/verbs.h"

namespace cenote::cli {
namespace {

struct OptionWords {
  std::vector<std::string> names;  // "-o", "--output"
  std::string doc;
  std::vector<std::string> choices;
  bool takes_value = false;
  bool takes_file = false;
};

struct Node {
  std::string path;  // "cenote config validate"
  std::string doc;
  std::vector<const CLI::App*> verbs;
  std::vector<OptionWords> options;
  std::vector<std::string> words;  // choices of a positional argument
  bool takes_file = false;
};

// CLI11 writes a set of choices into the type's name: "TEXT:{a,b}".
std::vector<std::string> choices_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t open = type.find('{');
  const size_t close = type.find('}');
  std::vector<std::string> choices;
  if (open == std::string::npos || close == std::string::npos) return choices;
  for (size_t at = open + 1; at < close;) {
    const size_t comma = std::min(type.find(',', at), close);
    choices.push_back(type.substr(at, comma - at));
    at = comma + 1;
  }
  return choices;
}

void collect(const CLI::App& app, const std::string& path, std::vector<Node>* nodes) {
  Node node{path, app.get_description(), {}, {}, {}, false};
  node.verbs = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::Option* option : app.get_options()) {
    const bool file = option->get_type_name().starts_with("FILE");
    if (option->get_positional()) {
      for (const std::string& choice : choices_of(*option)) node.words.push_back(choice);
      node.takes_file = node.takes_file || file;
    }
    if (!option->nonpositional()) continue;
    OptionWords words{{},
                      option->get_description(),
                      choices_of(*option),
                      option->get_items_expected_max() > 0,
                      file};
    for (const std::string& name : option->get_snames()) words.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) words.names.push_back("--" + name);
    node.options.push_back(std::move(words));
  }
  nodes->push_back(node);
  for (const CLI::App* verb : node.verbs) collect(*verb, path + " " + verb->get_name(), nodes);
}

std::string joined(const std::vector<std::string>& words, const char* between = " ") {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

std::vector<std::string> verb_names(const Node& node) {
  std::vector<std::string> names;
  for (const CLI::App* verb : node.verbs) names.push_back(verb->get_name());
  return names;
}

std::string bash(const std::vector<Node>& nodes) {
  std::string out =
      "# bash completion of cenote: source <(cenote completion bash)\n"
      "_cenote_fill() {\n"  // by lines, so that a file's name may hold blanks
      "  mapfile -t COMPREPLY < <(compgen \"$@\" -- \"$cur\")\n"
      "  [[ $1 == -f ]] && compopt -o filenames 2>/dev/null\n"
      "}\n"
      "_cenote() {\n"
      "  local path=cenote words=() choices='' file='' i\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case \"$path ${COMP_WORDS[i]}\" in\n";
  for (const Node& node : nodes) {
    if (node.path != "cenote") out += "      '" + node.path + "') path='" + node.path + "' ;;\n";
  }
  out += "    esac\n  done\n  case \"$path:$prev\" in\n";
  for (const Node& node : nodes) {
    for (const OptionWords& option : node.options) {
      if (!option.takes_value) continue;
      std::vector<std::string> patterns;
      for (const std::string& name : option.names)
        patterns.push_back("'" + node.path + ":" + name + "'");
      out += "    " + joined(patterns, "|") + ")\n";
      out += option.takes_file
                 ? "      _cenote_fill -f; return ;;\n"
                 : "      _cenote_fill -W '" + joined(option.choices) + "'; return ;;\n";
    }
  }
  out += "  esac\n  case \"$path\" in\n";
  for (const Node& node : nodes) {
    std::vector<std::string> words = verb_names(node);
    words.insert(words.end(), node.words.begin(), node.words.end());
    std::vector<std::string> options;
    for (const OptionWords& option : node.options) options.push_back(option.names.back());
    out += "    '" + node.path + "') words='" + joined(words) + "' choices='" + joined(options) +
           "' file='" + (node.takes_file ? "-f" : "") + "' ;;\n";
  }
  out +=
      "  esac\n"
      "  [[ $cur == -* ]] && words=$choices\n"
      "  _cenote_fill $file -W \"$words\"\n"
      "}\n"
      "complete -F _cenote cenote\n";
  return out;
}

// For single quotes of zsh and fish, and zsh's own brackets and colons in descriptions.
std::string quoted_doc(const std::string& doc, bool zsh) {
  std::string out;
  for (const char c : doc) {
    if (c == '\'') {
      out += zsh ? "'\\''" : "\\'";
    } else if (zsh && (c == '[' || c == ']' || c == ':')) {
      out += std::string("\\") + c;
    } else {
      out += c;
    }
  }
  return out;
}

std::string function_name(const std::string& path) {
  std::string name = "_" + path;
  for (char& c : name) {
    if (c == ' ') c = '_';
  }
  return name;
}

std::string zsh(const std::vector<Node>& nodes) {
  std::string out = "#compdef cenote\n# zsh completion of cenote: put it on the fpath as _cenote\n";
  for (const Node& node : nodes) {
    out += function_name(node.path) + "() {\n";
    if (!node.verbs.empty()) {
      out += "  local line state\n";
    }
    out += "  _arguments -C \\\n";
    for (const OptionWords& option : node.options) {
      const std::string value = !option.takes_value ? ""
                                : option.takes_file ? ":file:_files"
                                : option.choices.empty()
                                    ? ":value: "
                                    : ":value:(" + joined(option.choices) + ")";
      for (const std::string& name : option.names) {
        out += "    '" + name + "[" + quoted_doc(option.doc, true) + "]" + value + "' \\\n";
      }
    }
    if (node.verbs.empty()) {
      out += node.takes_file ? "    '*:file:_files'\n}\n"
                             : "    '*:word:(" + joined(node.words) + ")'\n}\n";
      continue;
    }
    out += "    '1: :->verb' '*:: :->rest'\n  case $state in\n    verb) local -a verbs; verbs=(";
    for (const CLI::App* verb : node.verbs) {
      out += "'" + verb->get_name() + ":" + quoted_doc(verb->get_description(), true) + "' ";
    }
    out += "); _describe verb verbs ;;\n    rest) case $line[1] in\n";
    for (const CLI::App* verb : node.verbs) {
      out += "      " + verb->get_name() + ") " +
             function_name(node.path + " " + verb->get_name()) + " ;;\n";
    }
    out += "    esac ;;\n  esac\n}\n";
  }
  return out +
         "if [ \"$funcstack[1]\" = _cenote ]; then _cenote \"$@\"; else compdef _cenote cenote; "
         "fi\n";
}

std::string fish(const std::vector<Node>& nodes) {
  std::string out =
      "# fish completion of cenote: cenote completion fish | source\ncomplete -c cenote -f\n";
  for (const Node& node : nodes) {
    // All words of the path have been seen, and none of the verbs below it.
    std::string when =
        node.verbs.empty() ? "" : "not __fish_seen_subcommand_from " + joined(verb_names(node));
    std::string seen = node.path.substr(std::min(node.path.size(), size_t{7}));
    for (size_t at = 0; at < seen.size();) {
      const size_t space = std::min(seen.find(' ', at), seen.size());
      when += (when.empty() ? "" : "; and ") +
              ("__fish_seen_subcommand_from " + seen.substr(at, space - at));
      at = space + 1;
    }
    const std::string begin = "complete -c cenote -n '" + when + "'";
    for (const CLI::App* verb : node.verbs) {
      out += begin + " -a " + verb->get_name() + " -d '" +
             quoted_doc(verb->get_description(), false) + "'\n";
    }
    if (!node.words.empty()) out += begin + " -a '" + joined(node.words) + "'\n";
    if (node.takes_file) out += begin + " -F\n";
    for (const OptionWords& option : node.options) {
      out += begin;
      for (const std::string& name : option.names) {
        out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      if (option.takes_file) {
        out += " -r -F";
      } else if (option.takes_value) {
        out += option.choices.empty() ? " -x" : " -x -a '" + joined(option.choices) + "'";
      }
      out += " -d '" + quoted_doc(option.doc, false) + "'\n";
    }
  }
  return out;
}

}  // namespace

void add_completion(CLI::App& app, Command* command) {
  auto shell = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("completion", "Print a shell's completion script");
  verb->add_option("shell", *shell, "The shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  verb->footer(
      "bash: source <(cenote completion bash)\n"
      "zsh:  cenote completion zsh > ~/.zfunc/_cenote\n"
      "fish: cenote completion fish | source");
  const CLI::App* root = &app;
  verb->callback([shell, root, command] {
    *command = [shell, root] {
      std::vector<Node> nodes;
      collect(*root, "cenote", &nodes);
      const std::string script = *shell == "bash"  ? bash(nodes)
                                 : *shell == "zsh" ? zsh(nodes)
                                                   : fish(nodes);
      std::fputs(script.c_str(), stdout);
      return int{kOk};
    };
  });
}

}  // namespace cenote::cli
