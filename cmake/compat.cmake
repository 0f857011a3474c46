# SPDX-License-Identifier: MIT
#
# The programs of compat-tests/programs, which the tests in compat-tests/ start. Each is built as its author would:
#   compat-NAME           against libsystemd alone
#   compat-NAME-relinked  against the headers of Evenkeel and those of libsystemd, linked to libevenkeel in front of it
# They lie beside the library, where compat-tests/lib/programs.sh finds them. What a program needs besides is named as
# pkg-config modules; where one is missing the program is not built, and its test is skipped. The target compat-programs
# builds all of them, for tools/compat, which needs nothing else of the tests.

add_custom_target(compat-programs)

function(evenkeel_compat_program name)
  cmake_parse_arguments(PARSE_ARGV 1 program "" "" "SOURCES;MODULES")
  list(TRANSFORM program_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/compat-tests/programs/)
  set(libraries "")
  foreach(module IN LISTS program_MODULES)
    string(MAKE_C_IDENTIFIER "COMPAT_${module}" found)
    pkg_check_modules(${found} QUIET IMPORTED_TARGET ${module})
    if(NOT ${found}_FOUND)
      message(STATUS "${module} is missing: compat-${name} is not built")
      return()
    endif()
    list(APPEND libraries PkgConfig::${found})
  endforeach()
  add_executable(compat-${name} ${program_SOURCES})
  target_link_libraries(compat-${name} PRIVATE evenkeel_options ${libraries} PkgConfig::SYSTEMD)
  add_executable(compat-${name}-relinked ${program_SOURCES})
  target_link_libraries(compat-${name}-relinked PRIVATE evenkeel_options evenkeel ${libraries} PkgConfig::SYSTEMD)
  foreach(program compat-${name} compat-${name}-relinked)
    target_compile_definitions(${program} PRIVATE _GNU_SOURCE)
    add_dependencies(compat-programs ${program})
  endforeach()
endfunction()

if(SYSTEMD_FOUND AND EVENKEEL_PLAIN_BUILD)
  evenkeel_compat_program(bus-service SOURCES bus_service.c)
  evenkeel_compat_program(bus-client SOURCES bus_client.c bus_client_load.c bus_connect.c)
  set(client_in_foreign_loop foreign_work.c bus_client_load.c bus_connect.c)
  evenkeel_compat_program(sdbus-cpp SOURCES sdbus_cpp.cc MODULES sdbus-c++)
  evenkeel_compat_program(glib-loop SOURCES glib_loop.c ${client_in_foreign_loop} MODULES glib-2.0)
  evenkeel_compat_program(uv-loop SOURCES uv_loop.c ${client_in_foreign_loop} MODULES libuv)
endif()
