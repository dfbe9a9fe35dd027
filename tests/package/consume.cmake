# Installs into a scratch prefix, builds the example against it by find_package and by pkg-config, runs both.
set(scratch ${BUILD}/package)
file(REMOVE_RECURSE ${scratch})

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(failed)
    message(FATAL_ERROR "${ARGN} failed:\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

function(expect_answer)
  foreach(word "hello from a pool" "42" "main_db at :memory:")
    string(FIND "${output}" "${word}" at)
    if(at EQUAL -1)
      message(FATAL_ERROR "the example did not print '${word}':\n${output}")
    endif()
  endforeach()
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --component development --prefix ${scratch}/first)
# Moved, to see that no path of the build is in it.
file(RENAME ${scratch}/first ${scratch}/prefix)

run(${CMAKE_COMMAND} -S ${EXAMPLE} -B ${scratch}/build -G Ninja -DCMAKE_CXX_COMPILER=${CXX}
  -DCMAKE_PREFIX_PATH=${scratch}/prefix -DCENOTE_PYTHON=${PYTHON})
run(${CMAKE_COMMAND} --build ${scratch}/build)
run(${scratch}/build/example)
expect_answer()

file(GLOB_RECURSE pc ${scratch}/prefix/*/cenote.pc)
get_filename_component(folder ${pc} DIRECTORY)
set(ENV{PKG_CONFIG_PATH} ${folder})
run(pkg-config --cflags --libs cenote)
string(STRIP "${output}" output)
separate_arguments(flags UNIX_COMMAND "${output}")
run(${CXX} ${EXAMPLE}/main.cc -o ${scratch}/by-pkg-config ${flags})
run(${scratch}/by-pkg-config)
expect_answer()
