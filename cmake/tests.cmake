# SPDX-License-Identifier: MIT
#
# All tests, for one ctest run. Labels: unit (the engine), abi (C programs on our library, linked), preloaded (the same
# programs, linked to libsystemd, with ours preloaded), reference (the same on libsystemd alone: the machine's, that of
# Debian 13, and what else tools/reference has unpacked), check (the built object),
# example, compat (programs of Debian), fuzz (random programs on both libraries), soak (nothing grows, no event is
# lost), report (what is compared), threads (what starts some), limits (the engine with as much of everything as there can
# be), consumer (projects that are built against an installed copy), tool (the program evenkeel).
#
# A C program is compiled once and linked twice. The runs against the reference need libsystemd-dev; sanitizers can't be
# preloaded into a program that is built without them, so those builds run what is linked only. A skip is exit code 77.
# The time limit is that of the presets: it is for what hangs, whatever the test.

include(CMakeDependentOption)
find_package(PkgConfig QUIET)
find_package(GTest QUIET)
if(PKG_CONFIG_FOUND)
  pkg_check_modules(CMOCKA QUIET IMPORTED_TARGET cmocka)
  pkg_check_modules(SYSTEMD QUIET IMPORTED_TARGET libsystemd)
  # Loops of others, in which ours runs.
  pkg_check_modules(GLIB QUIET IMPORTED_TARGET glib-2.0)
  pkg_check_modules(LIBUV QUIET IMPORTED_TARGET libuv)
endif()

# To read GoogleTest takes longer than what a test adds to it. ccache does better without; and the preset clang shows an
# include that is missing.
set(launched FALSE)
if(CMAKE_CXX_COMPILER_LAUNCHER)
  set(launched TRUE)
endif()
cmake_dependent_option(EVENKEEL_PRECOMPILED_HEADERS "Read the headers of the unit tests once" ON "NOT launched" OFF)

# What is tested is built as it is shipped. The programs that test it are not: they start once, and are compiled often.
add_library(evenkeel_test_options INTERFACE)
target_link_libraries(evenkeel_test_options INTERFACE evenkeel_options)
target_compile_options(evenkeel_test_options INTERFACE $<$<CONFIG:Release>:-O1>)

set(EVENKEEL_PLAIN_BUILD TRUE)
if(EVENKEEL_SANITIZE OR EVENKEEL_COVERAGE)
  set(EVENKEEL_PLAIN_BUILD FALSE)
endif()

# What tools/test gives to memcheck: the unit tests, and the C programs linked.
add_custom_target(memcheck-programs)

# --- The engine -----------------------------------------------------------------------------------------------------

if(GTest_FOUND)
  # With the seam for faults and the check of the invariants, which the library does not have.
  add_library(evenkeel_engine_under_test OBJECT ${EVENKEEL_ENGINE_SOURCES} src/kernel_faults.cc src/loop_check.cc
    src/callbacks_for_tests.cc)
  target_link_libraries(evenkeel_engine_under_test PUBLIC evenkeel_library_options)
  target_compile_definitions(evenkeel_engine_under_test PUBLIC EVENKEEL_FAULTS)
  file(GLOB unit_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*_test.cc)
  file(GLOB limits_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/limits_*test.cc)
  list(REMOVE_ITEM unit_tests ${limits_tests})
  add_executable(engine_test ${unit_tests})
  target_link_libraries(engine_test PRIVATE evenkeel_engine_under_test evenkeel_test_options GTest::gtest_main)
  if(EVENKEEL_PRECOMPILED_HEADERS)
    target_precompile_headers(engine_test PRIVATE <gtest/gtest.h> <functional> <map> <random> <set> <string> <vector>)
  endif()
  target_compile_options(engine_test PRIVATE -fexceptions)
  add_dependencies(memcheck-programs engine_test)
  if(EVENKEEL_COVERAGE)
    target_sources(engine_test PRIVATE cmake/coverage_exit.c)
  endif()
  include(GoogleTest)
  gtest_discover_tests(engine_test TEST_PREFIX "unit:" PROPERTIES LABELS unit DISCOVERY_TIMEOUT 600)
  # As much of everything as a process may have: not for the builds that take ten times as long for it.
  if(EVENKEEL_PLAIN_BUILD)
    add_executable(limits_test ${limits_tests})
    target_link_libraries(limits_test PRIVATE evenkeel_engine_under_test evenkeel_test_options GTest::gtest_main)
    target_compile_options(limits_test PRIVATE -fexceptions)
    if(EVENKEEL_PRECOMPILED_HEADERS)
      target_precompile_headers(limits_test REUSE_FROM engine_test)
    endif()
    gtest_discover_tests(limits_test TEST_PREFIX "limits:" PROPERTIES LABELS limits DISCOVERY_TIMEOUT 600)
  endif()
else()
  message(STATUS "GoogleTest is missing: the unit tests are not built")
endif()

# --- The table of differences ---------------------------------------------------------------------------------------

# conformance/differs.h includes its names as an enumeration.
set(differences_table ${PROJECT_SOURCE_DIR}/conformance/differences.tsv)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${differences_table})
file(READ ${differences_table} difference_names)
string(REGEX MATCHALL "\nk[A-Za-z0-9]+\t[0-9 ]+\t" difference_names "${difference_names}")
list(TRANSFORM difference_names STRIP)
list(TRANSFORM difference_names REPLACE "(.+)\t(.+)" "X(\\1, \"\\2\")" OUTPUT_VARIABLE difference_rows)
list(TRANSFORM difference_names REPLACE "\t.*" "")
list(JOIN difference_names ", " difference_names)
list(JOIN difference_rows " " difference_rows)
file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/generated/differences.h CONTENT
  "// Made from conformance/differences.tsv.
#define DIFFERENCES(X) ${difference_rows}
enum Difference { ${difference_names} };
")

# --- C programs -----------------------------------------------------------------------------------------------------

# What a program needs besides, by its name; without it the program is not built.
set(needed_by_foreign_glib GLIB)
set(needed_by_foreign_libuv LIBUV)

# What programs are linked to that call functions which are newer than the machine's libsystemd: its name, with all of ours
# and without versions, so that what is missing at run time is missed by who calls it.
if(SYSTEMD_FOUND AND EVENKEEL_PLAIN_BUILD)
  set(newer_functions "")
  foreach(list IN LISTS EVENKEEL_SYMBOL_LISTS)
    file(STRINGS ${list} symbols REGEX "\tsd_")
    list(TRANSFORM symbols REPLACE ".*\t(.+)" "void \\1(void) {}\n")
    list(APPEND newer_functions ${symbols})
  endforeach()
  list(JOIN newer_functions "" newer_functions)
  file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/generated/newer_systemd.c CONTENT "${newer_functions}")
  add_library(evenkeel_newer_systemd SHARED ${PROJECT_BINARY_DIR}/generated/newer_systemd.c)
  set_target_properties(evenkeel_newer_systemd PROPERTIES OUTPUT_NAME systemd SOVERSION 0 C_VISIBILITY_PRESET default
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/generated)
endif()

# The suites of Debian whose libsystemd the programs run on besides the machine's. Where trixie is not unpacked, its runs are
# skipped, and say so.
set(EVENKEEL_REFERENCES trixie)
file(GLOB unpacked RELATIVE ${PROJECT_SOURCE_DIR}/build/reference CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/build/reference/*/version)
list(TRANSFORM unpacked REPLACE "/version$" "")
list(APPEND EVENKEEL_REFERENCES ${unpacked})
list(REMOVE_DUPLICATES EVENKEEL_REFERENCES)

function(evenkeel_c_test source)
  get_filename_component(directory ${source} DIRECTORY)
  get_filename_component(folder ${directory} NAME)
  get_filename_component(name ${source} NAME_WE)
  set(program "${folder}-${name}")
  set(needed "${needed_by_${name}}")
  if(needed AND NOT ${needed}_FOUND)
    message(STATUS "${needed} is missing: ${program} is not built")
    return()
  endif()
  if(needed)
    set(needed PkgConfig::${needed})
  endif()
  add_library(${program}-object OBJECT ${source})
  target_include_directories(${program}-object PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/conformance
    ${PROJECT_BINARY_DIR}/generated)
  target_link_libraries(${program}-object PRIVATE evenkeel_test_options PkgConfig::CMOCKA ${needed})
  target_compile_definitions(${program}-object PRIVATE _GNU_SOURCE)
  set(libraries PkgConfig::CMOCKA ${needed} evenkeel_options Threads::Threads ${CMAKE_DL_LIBS})

  add_executable(${program}-linked $<TARGET_OBJECTS:${program}-object>)
  target_link_libraries(${program}-linked PRIVATE evenkeel ${libraries})
  add_dependencies(memcheck-programs ${program}-linked)
  add_test(NAME "abi:${program}" COMMAND ${program}-linked)
  set_tests_properties("abi:${program}" PROPERTIES LABELS abi)
  set(all "abi:${program}")

  # Programs that call what the machine's libsystemd does not have ("newer") run where it is there; what is ours alone
  # ("own") is compared with nothing.
  if(SYSTEMD_FOUND AND EVENKEEL_PLAIN_BUILD AND NOT name MATCHES "^own_")
    add_executable(${program}-reference $<TARGET_OBJECTS:${program}-object>)
    add_test(NAME "preloaded:${program}" COMMAND ${program}-reference)
    set_tests_properties("preloaded:${program}" PROPERTIES LABELS preloaded ENVIRONMENT "LD_PRELOAD=$<TARGET_FILE:evenkeel>")
    list(APPEND all "preloaded:${program}")
    if(name MATCHES "newer")
      target_link_libraries(${program}-reference PRIVATE evenkeel_newer_systemd ${libraries})
      target_link_options(${program}-reference PRIVATE LINKER:-z,lazy)
      set_target_properties(${program}-reference PROPERTIES SKIP_BUILD_RPATH ON)
    else()
      target_link_libraries(${program}-reference PRIVATE PkgConfig::SYSTEMD ${libraries})
      add_test(NAME "reference:${program}" COMMAND ${program}-reference)
      list(APPEND references "reference:${program}")
    endif()
    foreach(suite IN LISTS EVENKEEL_REFERENCES)
      add_test(NAME "reference-${suite}:${program}"
        COMMAND ${PROJECT_SOURCE_DIR}/tools/reference ${suite} --run $<TARGET_FILE:${program}-reference>)
      list(APPEND references "reference-${suite}:${program}")
    endforeach()
    set_tests_properties(${references} PROPERTIES LABELS reference)
  endif()
  set_tests_properties(${all} ${references} PROPERTIES SKIP_RETURN_CODE 77)

  # For ThreadSanitizer, which has nothing to see in the others.
  file(STRINGS ${source} threads REGEX "pthread_create" LIMIT_COUNT 1)
  if(threads)
    set_property(TEST "abi:${program}" APPEND PROPERTY LABELS threads)
    add_dependencies(thread-programs ${program}-linked)
  endif()
endfunction()

if(CMOCKA_FOUND)
  find_package(Threads REQUIRED)
  add_custom_target(thread-programs)
  file(GLOB c_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/conformance/*.c ${PROJECT_SOURCE_DIR}/abi/*/*_test.c)
  foreach(source IN LISTS c_tests)
    evenkeel_c_test(${source})
  endforeach()
  if(NOT SYSTEMD_FOUND)
    message(STATUS "libsystemd-dev is missing: nothing is compared with the reference")
  endif()
else()
  message(STATUS "cmocka is missing: the tests of the C ABI are not built")
endif()

# --- The built object, examples, programs of Debian --------------------------------------------------------------------

function(evenkeel_script_tests label pattern)
  file(GLOB scripts LIST_DIRECTORIES false CONFIGURE_DEPENDS ${pattern})
  list(FILTER scripts EXCLUDE REGEX "\\.md$")
  foreach(script IN LISTS scripts)
    get_filename_component(name ${script} NAME)
    add_test(NAME "${label}:${name}" COMMAND ${script} ${ARGN})
    set_tests_properties("${label}:${name}" PROPERTIES LABELS ${label} SKIP_RETURN_CODE 77)
  endforeach()
endfunction()

# check:abi reads the types of the exported functions. Where there is a -g already, a second one would be written down.
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(evenkeel PRIVATE -g)
endif()
# With the sanitizers as well: it is the tool that they are built into, and it reads files of all sorts.
if(NOT EVENKEEL_COVERAGE)
  evenkeel_script_tests(tool "${PROJECT_SOURCE_DIR}/tools/evenkeel/tests/run-*" ${PROJECT_BINARY_DIR})
endif()
if(EVENKEEL_PLAIN_BUILD)
  evenkeel_script_tests(check "${PROJECT_SOURCE_DIR}/tools/checks/*" $<TARGET_FILE:evenkeel>)
  evenkeel_script_tests(consumer "${PROJECT_SOURCE_DIR}/pkgconfig/tests/run-*" ${PROJECT_BINARY_DIR})
  evenkeel_script_tests(compat "${PROJECT_SOURCE_DIR}/compat-tests/*" $<TARGET_FILE:evenkeel>)
endif()

# Each is compiled against this build, with the sanitizers that it has.
if(NOT EVENKEEL_COVERAGE)
  evenkeel_script_tests(example "${PROJECT_SOURCE_DIR}/examples/run-*" ${PROJECT_BINARY_DIR})
  set_property(TEST "example:run-threaded-server" APPEND PROPERTY LABELS threads)
endif()

# All C programs once more, and what they call: doc/conformance.md tells of every function and case there is.
if(EVENKEEL_PLAIN_BUILD AND CMOCKA_FOUND AND SYSTEMD_FOUND)
  add_test(NAME report:conformance
    COMMAND ${PROJECT_SOURCE_DIR}/tools/conformance-report --check --build ${PROJECT_BINARY_DIR})
  set_tests_properties(report:conformance PROPERTIES LABELS report SKIP_RETURN_CODE 77)
endif()

# --- The soak -----------------------------------------------------------------------------------------------------------

# tools/soak runs it for as long as one likes.
find_package(Threads REQUIRED)
file(GLOB soak_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/soak/*.c)
add_executable(soak ${soak_sources})
target_include_directories(soak PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(soak PRIVATE _GNU_SOURCE)
target_link_libraries(soak PRIVATE evenkeel evenkeel_options Threads::Threads)
add_test(NAME "soak:short" COMMAND soak --seconds 5 --seed 1)
set_tests_properties("soak:short" PROPERTIES LABELS soak SKIP_RETURN_CODE 77)

include(cmake/fuzz.cmake)
if(EVENKEEL_FUZZERS)
  include(cmake/cfi.cmake)
endif()
include(cmake/compat.cmake)
