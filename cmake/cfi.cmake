# SPDX-License-Identifier: MIT
#
# Programs with clang's control flow integrity, into which the library is linked statically: each call through a pointer
# must have the type of the function that is called, or the program ends. They have callbacks of every type. clang checks
# this with link-time optimization alone. Built where libFuzzer's targets are: in the preset clang.

find_program(EVENKEEL_LLD NAMES ld.lld)
if(NOT EVENKEEL_LLD)
  message(STATUS "lld is missing: nothing is built with control flow integrity")
elseif(CMOCKA_FOUND)
  # clang 14 makes a table of functions that can't be used where -fcf-protection is on. Stands last, so that it counts.
  add_library(cfi_options INTERFACE)
  target_compile_options(cfi_options INTERFACE -flto -fvisibility=hidden -fcf-protection=none
    -fsanitize=cfi-icall -fno-sanitize-trap=cfi-icall -fno-sanitize-recover=cfi-icall)
  target_link_options(cfi_options INTERFACE -flto -fuse-ld=lld -fsanitize=cfi-icall -fno-sanitize-trap=cfi-icall)

  add_library(cfi-library OBJECT ${EVENKEEL_ENGINE_SOURCES} ${EVENKEEL_SHIM_SOURCES})
  target_link_libraries(cfi-library PRIVATE evenkeel_library_options cfi_options)
  target_compile_definitions(cfi-library PRIVATE EVENKEEL_VERSION="${PROJECT_VERSION}")

  foreach(name io_events time_fire signal_delivery child_exit inotify_basic static_exit loop_prepare ratelimit_expire
      newer_pressure)
    add_executable(cfi-${name} conformance/${name}.c $<TARGET_OBJECTS:cfi-library>)
    target_include_directories(cfi-${name} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/conformance
      ${PROJECT_BINARY_DIR}/generated)
    target_compile_definitions(cfi-${name} PRIVATE _GNU_SOURCE)
    target_link_libraries(cfi-${name} PRIVATE evenkeel_test_options PkgConfig::CMOCKA Threads::Threads cfi_options)
    # The program looks for `evenkeel_version`, by which it knows the library.
    set_target_properties(cfi-${name} PROPERTIES LINKER_LANGUAGE CXX ENABLE_EXPORTS ON)
    add_test(NAME "cfi:${name}" COMMAND cfi-${name})
    set_tests_properties("cfi:${name}" PROPERTIES LABELS check SKIP_RETURN_CODE 77)
  endforeach()
endif()
