# SPDX-License-Identifier: MIT
#
# What is put down by `cmake --install`, and how programs find it: by pkg-config, and by find_package(evenkeel).
#
#   <libdir>/pkgconfig/evenkeel.pc                   Evenkeel, by its own name
#   <libdir>/cmake/evenkeel/                         the targets evenkeel::evenkeel and evenkeel::evenkeel_static
#   <libdir>/evenkeel/pkgconfig/libsystemd.pc        for programs that ask for libsystemd: ours, and libsystemd behind it
#   <libdir>/evenkeel/pkgconfig-alone/libsystemd.pc  the same where there is no libsystemd: sd-event and sd-daemon alone
#
# Invariants:
#  1. An installed tree may be moved: every path in these files is relative to the file that it stands in. But for the
#     prefix /usr, which does not move, and which pkg-config only takes for what it is when it is spelled so; and for a
#     libdir or includedir that was configured as an absolute path.
#  2. What is installed does not depend on what the machine has, but for libsystemd's version: what stands behind ours has
#     the version of the libsystemd that was found, and may be said (EVENKEEL_LIBSYSTEMD_VERSION).
include(CMakePackageConfigHelpers)

# --- pkg-config -----------------------------------------------------------------------------------------------------

# The release whose API is implemented: where nothing but Evenkeel is there, this is the version of what is there.
set(EVENKEEL_API_VERSION 261)
set(EVENKEEL_LIBSYSTEMD_VERSION "" CACHE STRING "Version of the libsystemd that stands behind; that of this machine")
set(libsystemd_version "${EVENKEEL_LIBSYSTEMD_VERSION}")
if(NOT libsystemd_version)
  find_package(PkgConfig QUIET)
  if(PKG_CONFIG_FOUND)
    pkg_check_modules(LIBSYSTEMD_BEHIND QUIET libsystemd)
    set(libsystemd_version "${LIBSYSTEMD_BEHIND_VERSION}")
  endif()
endif()
if(NOT libsystemd_version)
  # The reference, which the rest is at least as likely to be as any other.
  set(libsystemd_version 252)
endif()

# evenkeel_pc DIRECTORY TEMPLATE: a .pc file for a directory below libdir, with what leads from there to the prefix.
function(evenkeel_pc directory template)
  set(prefix "${CMAKE_INSTALL_PREFIX}")
  if(NOT prefix STREQUAL "/usr" AND NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    file(RELATIVE_PATH prefix "/${CMAKE_INSTALL_LIBDIR}/${directory}" "/")
    string(REGEX REPLACE "^(.*[^/])/*$" "\${pcfiledir}/\\1" prefix "${prefix}")
  endif()
  set(libdir "${CMAKE_INSTALL_LIBDIR}")
  set(includedir "${CMAKE_INSTALL_INCLUDEDIR}")
  foreach(path libdir includedir)
    if(NOT IS_ABSOLUTE "${${path}}")
      string(PREPEND ${path} "\${prefix}/")
    endif()
  endforeach()
  get_filename_component(name ${template} NAME_WLE)
  configure_file(${PROJECT_SOURCE_DIR}/pkgconfig/${template} ${PROJECT_BINARY_DIR}/installed/${directory}/${name} @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/installed/${directory}/${name} DESTINATION ${CMAKE_INSTALL_LIBDIR}/${directory})
endfunction()

evenkeel_pc(pkgconfig evenkeel.pc.in)
set(version "${libsystemd_version}")
set(libs_behind " -lsystemd")
# A directory in which the linker looks anyway must not come before those that a program has put in front of it.
set(ours_first "-Wl,--push-state,--no-as-needed,-L\${libdir},-levenkeel,--pop-state ")
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  string(REPLACE "-L\${libdir}," "" ours_first "${ours_first}")
endif()
set(cflags_behind " -I\${includedir}/beside-libsystemd")
evenkeel_pc(evenkeel/pkgconfig libsystemd.pc.in)
set(version "${EVENKEEL_API_VERSION}")
set(libs_behind "")
set(ours_first "")
set(cflags_behind "")
evenkeel_pc(evenkeel/pkgconfig-alone libsystemd.pc.in)

# --- The library and its headers ----------------------------------------------------------------------------------------

install(TARGETS evenkeel evenkeel_static EXPORT evenkeel
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/systemd include/evenkeel include/beside-libsystemd
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/evenkeel FILES_MATCHING PATTERN "*.h")

# --- CMake packages -----------------------------------------------------------------------------------------------------

set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/evenkeel)
install(EXPORT evenkeel NAMESPACE evenkeel:: DESTINATION ${package_directory} FILE evenkeelTargets.cmake)
configure_package_config_file(cmake/evenkeelConfig.cmake.in ${PROJECT_BINARY_DIR}/evenkeelConfig.cmake
  INSTALL_DESTINATION ${package_directory} NO_SET_AND_CHECK_MACRO)
# Symbols are added and never removed or changed, and the major version is that of the soname: of one major version, any
# later release does.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/evenkeelConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/evenkeelConfig.cmake ${PROJECT_BINARY_DIR}/evenkeelConfigVersion.cmake
  DESTINATION ${package_directory})
