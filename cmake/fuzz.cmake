# SPDX-License-Identifier: MIT
#
# The fuzzers. conformance/fuzz: random programs on the reference and on our library, compared (label fuzz; it needs
# libsystemd-dev, and a build without sanitizers, which can't be preloaded). fuzz/: libFuzzer on our library alone, with the
# engine's own checks (-DEVENKEEL_FUZZERS=ON, clang only: the preset clang has it), a target for the loop and one for each
# parser; ctest runs each on its corpus.

option(EVENKEEL_FUZZERS "Build the libFuzzer targets (clang)" OFF)

if(SYSTEMD_FOUND AND EVENKEEL_PLAIN_BUILD)
  set(fuzz_dir ${PROJECT_SOURCE_DIR}/conformance/fuzz)
  add_executable(fuzz-serve ${fuzz_dir}/serve.c)
  target_include_directories(fuzz-serve PRIVATE ${PROJECT_SOURCE_DIR}/include)
  target_compile_definitions(fuzz-serve PRIVATE _GNU_SOURCE)
  target_compile_options(fuzz-serve PRIVATE -Wno-unused-function)
  target_link_libraries(fuzz-serve PRIVATE evenkeel_options PkgConfig::SYSTEMD ${CMAKE_DL_LIBS})

  add_executable(fuzz-programs ${fuzz_dir}/fuzz.cc ${fuzz_dir}/compare.cc ${fuzz_dir}/generate.cc)
  target_include_directories(fuzz-programs PRIVATE ${PROJECT_BINARY_DIR}/generated)
  target_link_libraries(fuzz-programs PRIVATE evenkeel_options)
  target_compile_options(fuzz-programs PRIVATE -fexceptions)

  # A library with a known fault in front of libsystemd: the fuzzer must find it.
  add_library(fuzz-faulty MODULE ${fuzz_dir}/faulty.c)
  target_include_directories(fuzz-faulty PRIVATE ${PROJECT_SOURCE_DIR}/include)
  target_compile_definitions(fuzz-faulty PRIVATE _GNU_SOURCE)
  target_compile_options(fuzz-faulty PRIVATE -fvisibility=default)
  target_link_libraries(fuzz-faulty PRIVATE evenkeel_options ${CMAKE_DL_LIBS})

  set(fuzz $<TARGET_FILE:fuzz-programs> $<TARGET_FILE:fuzz-serve>)
  add_test(NAME "fuzz:seeds" COMMAND ${fuzz} $<TARGET_FILE:evenkeel> --seeds 1-1500 --jobs 6)
  add_test(NAME "fuzz:finds_a_fault" COMMAND ${fuzz_dir}/finds_a_fault_test.sh ${fuzz} $<TARGET_FILE:fuzz-faulty>)
  add_test(NAME "fuzz:printed" COMMAND ${fuzz_dir}/printed_test.sh ${fuzz} $<TARGET_FILE:evenkeel>)
  set_tests_properties("fuzz:seeds" "fuzz:finds_a_fault" "fuzz:printed" PROPERTIES
    LABELS fuzz SKIP_RETURN_CODE 77)
  set_tests_properties("fuzz:seeds" PROPERTIES PROCESSORS 2)

  # What tools/reference has unpacked by the time of this configuration.
  file(GLOB versions CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/build/reference/*/version)
  foreach(version IN LISTS versions)
    get_filename_component(tree ${version} DIRECTORY)
    get_filename_component(suite ${tree} NAME)
    file(STRINGS ${version} release LIMIT_COUNT 1 REGEX "^[0-9]+")
    string(REGEX MATCH "^[0-9]+" release "${release}")
    add_test(NAME "fuzz:seeds:${suite}" COMMAND ${fuzz} $<TARGET_FILE:evenkeel> --release ${release} --run ${tree}/run
      --seeds 1501-2500 --jobs 6)
    set_tests_properties("fuzz:seeds:${suite}" PROPERTIES LABELS fuzz PROCESSORS 2)
  endforeach()
endif()

if(EVENKEEL_FUZZERS)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "EVENKEEL_FUZZERS needs clang, which brings libFuzzer")
  endif()
  find_package(absl REQUIRED)
  set(fuzz_sanitizers -O2 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_library(fuzz-engine OBJECT ${EVENKEEL_ENGINE_SOURCES} ${EVENKEEL_SHIM_SOURCES} src/kernel_faults.cc src/loop_check.cc
    fuzz/check.cc)
  target_link_libraries(fuzz-engine PRIVATE evenkeel_library_options)
  target_compile_definitions(fuzz-engine PRIVATE EVENKEEL_FAULTS EVENKEEL_VERSION="${PROJECT_VERSION}")
  target_compile_options(fuzz-engine PRIVATE -fsanitize=fuzzer-no-link ${fuzz_sanitizers})

  # evenkeel_fuzzer(NAME SOURCE): the target fuzz-NAME, which ctest runs on fuzz/corpus/NAME.
  function(evenkeel_fuzzer name source)
    add_executable(fuzz-${name} ${source} $<TARGET_OBJECTS:fuzz-engine>)
    target_include_directories(fuzz-${name} PRIVATE ${PROJECT_SOURCE_DIR})
    target_compile_definitions(fuzz-${name} PRIVATE EVENKEEL_FAULTS)
    target_compile_options(fuzz-${name} PRIVATE
      $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti> -fsanitize=fuzzer-no-link ${fuzz_sanitizers})
    target_link_options(fuzz-${name} PRIVATE -fsanitize=fuzzer ${fuzz_sanitizers})
    set_target_properties(fuzz-${name} PROPERTIES LINKER_LANGUAGE CXX)
    file(GLOB corpus CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/fuzz/corpus/${name}/*)
    add_test(NAME "fuzz:corpus:${name}" COMMAND fuzz-${name} ${corpus})
    set_tests_properties("fuzz:corpus:${name}" PROPERTIES LABELS fuzz)
  endfunction()

  evenkeel_fuzzer(loop fuzz/loop_fuzzer.c)
  target_include_directories(fuzz-loop PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/conformance/fuzz)
  target_compile_definitions(fuzz-loop PRIVATE _GNU_SOURCE)
  target_compile_options(fuzz-loop PRIVATE -Wall -Wextra -Wno-unused-function)
  foreach(parser notify_address environment pressure inotify proc_text)
    evenkeel_fuzzer(${parser} fuzz/${parser}_fuzzer.cc)
    target_link_libraries(fuzz-${parser} PRIVATE evenkeel_options absl::strings)
  endforeach()
endif()
