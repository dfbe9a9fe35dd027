# The C++ library as others use it: all parts in one static archive, cenote::cenote, with its headers, a CMake package and a
# pkg-config file. `cmake --install <build> --component development --prefix <where>`.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# What DistributedPoolManager needs, and no more: serving pools to others is the program's.
get_property(all_parts GLOBAL PROPERTY CENOTE_PARTS)
set(parts "")
set(todo cenote_manager)
while(todo)
  list(POP_FRONT todo part)
  if(part IN_LIST all_parts AND NOT part IN_LIST parts)
    list(APPEND parts ${part})
    get_target_property(needed ${part} LINK_LIBRARIES)
    list(APPEND todo ${needed})
  endif()
endwhile()
add_library(cenote STATIC)
add_library(cenote::cenote ALIAS cenote)
foreach(part ${parts})
  target_sources(cenote PRIVATE $<TARGET_OBJECTS:${part}>)
endforeach()
set_target_properties(cenote PROPERTIES LINKER_LANGUAGE CXX ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
target_compile_features(cenote PUBLIC cxx_std_20)

# Checked by the target cenote_verify_interface_header_sets: each compiles alone.
file(GLOB public_headers ${PROJECT_SOURCE_DIR}/include/cenote/*.h)
target_sources(cenote INTERFACE
  FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include FILES ${public_headers})
set_target_properties(cenote PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)

# What the archive's objects call; headers of other libraries stay inside.
foreach(package PostgreSQL SQLite3 yaml-cpp OpenSSL)
  find_package(${package} REQUIRED)
endforeach()
target_link_libraries(cenote
  PUBLIC Arrow::arrow_shared Arrow::arrow_flight_shared Threads::Threads
  PRIVATE PostgreSQL::PostgreSQL SQLite::SQLite3 yaml-cpp OpenSSL::SSL ${CMAKE_DL_LIBS})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/cenote)
install(TARGETS cenote EXPORT cenote
  ARCHIVE COMPONENT development FILE_SET HEADERS COMPONENT development)
install(EXPORT cenote FILE cenoteTargets.cmake NAMESPACE cenote:: DESTINATION ${package_dir}
  COMPONENT development)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/cenoteConfig.cmake.in
  ${PROJECT_BINARY_DIR}/cenoteConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cenoteConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cenoteConfig.cmake ${PROJECT_BINARY_DIR}/cenoteConfigVersion.cmake
  ${CMAKE_CURRENT_LIST_DIR}/Arrow.cmake DESTINATION ${package_dir} COMPONENT development)

# pkg-config knows no Arrow of a wheel, so that one is named by its path.
if(CENOTE_ARROW_LIBRARY_DIR)
  get_target_property(arrow_library Arrow::arrow_shared IMPORTED_LOCATION)
  get_target_property(flight_library Arrow::arrow_flight_shared IMPORTED_LOCATION)
  set(arrow_cflags "-isystem ${CENOTE_ARROW_LIBRARY_DIR}/include")
  set(arrow_libs "${flight_library} ${arrow_library} -Wl,-rpath,${CENOTE_ARROW_LIBRARY_DIR}")
else()
  set(arrow_requires "arrow arrow-flight")
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/cenote.pc.in ${PROJECT_BINARY_DIR}/cenote.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cenote.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  COMPONENT development)
