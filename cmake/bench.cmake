# SPDX-License-Identifier: MIT
#
# The benchmarks (-DEVENKEEL_BENCH=ON, preset `bench`): a program for each question in bench/, and a module for each loop.
# A loop whose package is missing is left out, with a line that says so. tools/bench runs them.
#
# bench-loop-reference.so and bench-loop-evenkeel.so are one object, linked to libsystemd and to the library of this build.
# The programs are linked to neither.

find_package(PkgConfig REQUIRED)

set(bench_dir ${PROJECT_SOURCE_DIR}/bench)
add_library(bench-common OBJECT ${bench_dir}/bench.c)
file(GLOB bench_questions CONFIGURE_DEPENDS ${bench_dir}/*.c)
list(REMOVE_ITEM bench_questions ${bench_dir}/bench.c)

add_library(bench_options INTERFACE)
target_link_libraries(bench_options INTERFACE evenkeel_options)
target_include_directories(bench_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(bench_options INTERFACE _GNU_SOURCE)
target_link_libraries(bench-common PRIVATE bench_options)

foreach(source IN LISTS bench_questions)
  get_filename_component(question ${source} NAME_WE)
  add_executable(bench-${question} ${source} $<TARGET_OBJECTS:bench-common>)
  target_link_libraries(bench-${question} PRIVATE bench_options ${CMAKE_DL_LIBS})
endforeach()

# evenkeel_bench_loop(NAME SOURCE LIBRARY...): bench-loop-NAME.so. Nothing but the table of functions is visible.
function(evenkeel_bench_loop name source)
  add_library(bench-loop-${name} MODULE ${bench_dir}/loops/${source})
  set_target_properties(bench-loop-${name} PROPERTIES PREFIX "" C_VISIBILITY_PRESET default)
  target_link_libraries(bench-loop-${name} PRIVATE bench_options ${ARGN})
endfunction()

function(evenkeel_bench_packaged_loop name source package)
  pkg_check_modules(BENCH_${name} QUIET IMPORTED_TARGET ${ARGN})
  if(BENCH_${name}_FOUND)
    evenkeel_bench_loop(${name} ${source} PkgConfig::BENCH_${name})
  else()
    message(STATUS "Benchmarks: ${name} is left out, its development files are missing (package ${package})")
  endif()
endfunction()

evenkeel_bench_loop(raw raw.c)
evenkeel_bench_loop(evenkeel sd_event.c evenkeel ${CMAKE_DL_LIBS})
evenkeel_bench_packaged_loop(reference sd_event.c libsystemd-dev libsystemd)
evenkeel_bench_packaged_loop(libevent libevent.c libevent-dev libevent_core)
evenkeel_bench_packaged_loop(libuv libuv.c libuv1-dev libuv)
evenkeel_bench_packaged_loop(glib glib.c libglib2.0-dev glib-2.0)
evenkeel_bench_packaged_loop(tevent tevent.c libtevent-dev tevent talloc)

# libev has no file for pkg-config.
find_path(BENCH_EV_HEADERS ev.h)
find_library(BENCH_EV_LIBRARY ev)
if(BENCH_EV_HEADERS AND BENCH_EV_LIBRARY)
  evenkeel_bench_loop(libev libev.c ${BENCH_EV_LIBRARY})
  # Its macros alias watchers of all kinds by pointer.
  target_compile_options(bench-loop-libev PRIVATE -fno-strict-aliasing -Wno-strict-aliasing)
else()
  message(STATUS "Benchmarks: libev is left out, its development files are missing (package libev-dev)")
endif()

# Every program runs on every loop that is there, at a tiny size.
foreach(source IN LISTS bench_questions)
  get_filename_component(question ${source} NAME_WE)
  add_test(NAME "bench:${question}" COMMAND ${bench_dir}/smoke_test.sh ${PROJECT_BINARY_DIR} ${question})
  set_tests_properties("bench:${question}" PROPERTIES LABELS bench SKIP_RETURN_CODE 77)
endforeach()

# What can be counted is bounded, by about twice of what it is: bench/costs.tsv. (Sanitizers cost instructions, too.)
if(NOT EVENKEEL_SANITIZE AND NOT EVENKEEL_COVERAGE)
  foreach(unit system-calls instructions bytes allocations)
    add_test(NAME "cost:${unit}" COMMAND ${PROJECT_SOURCE_DIR}/tools/bench-costs --check --unit ${unit} --build ${PROJECT_BINARY_DIR})
    set_tests_properties("cost:${unit}" PROPERTIES LABELS cost SKIP_RETURN_CODE 77)
  endforeach()
endif()
