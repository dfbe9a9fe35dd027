# Arrow::arrow_shared (and Parquet::parquet_shared, Arrow::arrow_flight_shared): the system's Arrow C++ if it is there, else
# the libraries and headers inside the pyarrow wheel of CENOTE_PYTHON. The wheel has no CMake files and no unversioned .so
# names. Installed too, for cenoteConfig.cmake.
set(CENOTE_PYTHON "" CACHE FILEPATH "A Python with pyarrow, used where the system has no Arrow C++")
option(CENOTE_ARROW_FROM_WHEEL "Take Arrow from pyarrow even if the system has it" OFF)

if(NOT CENOTE_ARROW_FROM_WHEEL)
  find_package(Arrow 20 QUIET CONFIG)
  find_package(Parquet 20 QUIET CONFIG)
  find_package(ArrowFlight 20 QUIET CONFIG)
  if(TARGET ArrowFlight::arrow_flight_shared)
    add_library(Arrow::arrow_flight_shared ALIAS ArrowFlight::arrow_flight_shared)
  endif()
endif()

if(NOT TARGET Arrow::arrow_shared)
  set(python ${CENOTE_PYTHON})
  if(NOT python AND Python_EXECUTABLE)
    set(python ${Python_EXECUTABLE})
  endif()
  if(NOT python AND EXISTS ${PROJECT_SOURCE_DIR}/build/venv/bin/python)
    set(python ${PROJECT_SOURCE_DIR}/build/venv/bin/python)
  endif()
  if(NOT python)
    find_program(python NAMES python3 REQUIRED)
  endif()
  execute_process(
    COMMAND ${python} -c "import pyarrow, os; print(os.path.dirname(pyarrow.__file__))"
    OUTPUT_VARIABLE pyarrow_dir OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed ERROR_QUIET)
  if(failed)
    message(FATAL_ERROR
      "Arrow C++ was not found: the system has no ArrowConfig.cmake and ${python} has no pyarrow. "
      "Run 'make deps' (it makes build/venv with pyarrow), or pass -DCENOTE_PYTHON=<a python with pyarrow>.")
  endif()
  foreach(lib arrow arrow_compute arrow_flight parquet)
    file(GLOB so ${pyarrow_dir}/lib${lib}.so.*)
    list(FILTER so INCLUDE REGEX "\\.so\\.[0-9]+$")
    if(NOT so)
      message(FATAL_ERROR "${pyarrow_dir} holds no lib${lib}.so.*: install the pyarrow wheel from PyPI.")
    endif()
    list(GET so 0 so)
    get_filename_component(soname ${so} NAME)
    if(lib STREQUAL "parquet")
      set(target Parquet::parquet_shared)
    elseif(lib STREQUAL "arrow_compute")
      set(target Arrow::arrow_compute_shared)
    elseif(lib STREQUAL "arrow_flight")
      set(target Arrow::arrow_flight_shared)
    else()
      set(target Arrow::arrow_shared)
    endif()
    add_library(${target} SHARED IMPORTED GLOBAL)
    set_target_properties(${target} PROPERTIES
      IMPORTED_LOCATION ${so} IMPORTED_SONAME ${soname}
      INTERFACE_SYSTEM_INCLUDE_DIRECTORIES ${pyarrow_dir}/include
      INTERFACE_INCLUDE_DIRECTORIES ${pyarrow_dir}/include)
  endforeach()
  set_property(TARGET Parquet::parquet_shared PROPERTY INTERFACE_LINK_LIBRARIES Arrow::arrow_shared)
  set_property(TARGET Arrow::arrow_flight_shared PROPERTY INTERFACE_LINK_LIBRARIES Arrow::arrow_shared)
  set(CENOTE_ARROW_LIBRARY_DIR ${pyarrow_dir} CACHE INTERNAL "where libarrow is")
  message(STATUS "Arrow C++ from ${pyarrow_dir}")
endif()
