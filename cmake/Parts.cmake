# How a part, a test and their flags are declared. One folder is one part, one static library.

find_program(CENOTE_CCACHE ccache)
if(CENOTE_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CENOTE_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CENOTE_CCACHE})
endif()

add_library(cenote_flags INTERFACE)
target_compile_features(cenote_flags INTERFACE cxx_std_20)
target_include_directories(cenote_flags INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
  $<INSTALL_INTERFACE:include>)
target_compile_options(cenote_flags INTERFACE
  $<BUILD_INTERFACE:-Wall> $<BUILD_INTERFACE:-Wextra> $<BUILD_INTERFACE:-Wpedantic>
  $<BUILD_INTERFACE:$<$<BOOL:${CENOTE_WERROR}>:-Werror>>
  # g++ 12 sees overlaps in std::string's operator+ that are not there (GCC bug 105651).
  $<BUILD_INTERFACE:$<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>>
  $<BUILD_INTERFACE:$<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>>)
if(CENOTE_SANITIZE)
  target_compile_options(cenote_flags INTERFACE
    -fsanitize=${CENOTE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(cenote_flags INTERFACE -fsanitize=${CENOTE_SANITIZE})
endif()

# What a flaw in memory handling is worth to an attacker (tests/cli/test_hardening.py looks at the program).
# A sanitizer's checks take their place.
include(CheckPIESupported)
check_pie_supported(LANGUAGES CXX)
if(NOT CENOTE_SANITIZE)
  target_compile_options(cenote_flags INTERFACE $<BUILD_INTERFACE:-fstack-protector-strong>
    $<BUILD_INTERFACE:$<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE>>
    $<BUILD_INTERFACE:$<$<CONFIG:Release,RelWithDebInfo>:-D_FORTIFY_SOURCE=3>>)
  add_link_options(-Wl,-z,relro -Wl,-z,now)
endif()

# libFuzzer learns from what it sees of the code under test, not of the fuzzer alone.
if(CENOTE_BUILD_FUZZERS)
  set(CENOTE_PART_OPTIONS -fsanitize=fuzzer-no-link)
  target_link_options(cenote_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Linking dominates an incremental build; mold and lld are used where they are there.
find_program(CENOTE_MOLD mold)
if(CENOTE_MOLD AND NOT CENOTE_SANITIZE)
  add_link_options(-fuse-ld=mold)
endif()

# A sanitizer's builds read the headers that most files begin with once. Release builds do not: their objects are then the
# same for the program, the tests and the Python package, and ccache compiles them once.
# `headers`: the name of what was read; one for each set of further options, which clang wants to be the same.
function(cenote_precompile target headers)
  if(NOT CENOTE_SANITIZE)
    return()
  endif()
  if(NOT TARGET ${headers})
    file(WRITE ${PROJECT_BINARY_DIR}/precompiled.cc "")
    add_library(${headers} OBJECT ${PROJECT_BINARY_DIR}/precompiled.cc)
    # Programs may share what is compiled for a library.
    target_compile_options(cenote_flags INTERFACE -fPIC)
    target_compile_options(${headers} PRIVATE ${ARGN})
    target_link_libraries(${headers} PRIVATE cenote_flags Arrow::arrow_shared)
    target_precompile_headers(${headers} PRIVATE
      <algorithm> <array> <atomic> <chrono> <condition_variable> <functional> <map> <memory> <mutex> <optional> <set>
      <stop_token> <string> <string_view> <thread> <utility> <variant> <vector>
      <arrow/record_batch.h> <arrow/result.h> <arrow/status.h> <arrow/table.h> <nlohmann/json.hpp>)
  endif()
  target_compile_options(${target} PRIVATE ${ARGN})
  target_precompile_headers(${target} REUSE_FROM ${headers})
endfunction()

# cenote_part(<name> SOURCES … [DEPENDS part…] [LIBRARIES public…] [PRIVATE_LIBRARIES …])
function(cenote_part name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;LIBRARIES;PRIVATE_LIBRARIES" ${ARGN})
  list(TRANSFORM arg_DEPENDS PREPEND cenote_)
  add_library(cenote_${name} STATIC ${arg_SOURCES})
  add_library(cenote::${name} ALIAS cenote_${name})
  target_link_libraries(cenote_${name}
    PUBLIC cenote_flags ${arg_DEPENDS} ${arg_LIBRARIES}
    PRIVATE ${arg_PRIVATE_LIBRARIES})
  cenote_precompile(cenote_${name} part_headers ${CENOTE_PART_OPTIONS})
  set_property(GLOBAL APPEND PROPERTY CENOTE_PARTS cenote_${name})
endfunction()

# All that ThreadSanitizer has to run.
add_custom_target(race_tests)

# cenote_test(<name> SOURCES … [LIBS part-or-library…] [LABELS …] [TIMEOUT seconds])
# The suffix of the name tells its need: _test nothing, _dbtest a server, _race ThreadSanitizer.
function(cenote_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LIBS;LABELS" ${ARGN})
  # Ends what hangs, and nothing else: tests wait up to a minute for what must come, a sanitizer's build is slow.
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_executable(${name} ${arg_SOURCES})
  if(name MATCHES "_race$")
    list(APPEND arg_LABELS race)
    add_dependencies(race_tests ${name})
  endif()
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${arg_LIBS} cenote_flags GTest::gtest GTest::gtest_main)
  # Of a test's time little is its own code's; of a build's much would be spent on optimising that.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  cenote_precompile(${name} test_headers -O0)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  # Whoever may take long begins first.
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} COST ${arg_TIMEOUT} LABELS "${arg_LABELS}")
endfunction()

# cenote_fuzzer(<name> SOURCES … LIBS …): a libFuzzer program, with its corpus in tests/fuzz/corpus/<name>.
function(cenote_fuzzer name)
  if(NOT CENOTE_BUILD_FUZZERS)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${arg_LIBS} cenote_flags)
  target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
endfunction()
