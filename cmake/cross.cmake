# SPDX-License-Identifier: MIT
#
# Toolchain file for another architecture of Debian: its cross compiler, and a tree with its libraries and headers.
#
#   cmake --preset i386      (or arm64)
#
# The idea: nothing is installed on this machine but the compiler. tools/cross unpacks the packages of that architecture into
# build/cross/<architecture>/sysroot, and programs are linked so that they find their dynamic linker and libraries there: those
# of i386 run on an amd64 kernel as they are, the others under qemu-user, which has the tree as its prefix (and then finds by
# itself what programs ask for by absolute paths).
set(CMAKE_SYSTEM_NAME Linux)
set(EVENKEEL_CROSS_ARCHITECTURE "i386" CACHE STRING "Debian's name of the architecture")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES EVENKEEL_CROSS_ARCHITECTURE)

set(triplet_of_i386 i686-linux-gnu)
set(triplet_of_arm64 aarch64-linux-gnu)
set(multiarch_of_i386 i386-linux-gnu)
set(multiarch_of_arm64 aarch64-linux-gnu)
set(processor_of_i386 i686)
set(processor_of_arm64 aarch64)
set(interpreter_of_i386 lib/ld-linux.so.2)
set(interpreter_of_arm64 lib/ld-linux-aarch64.so.1)
set(architecture ${EVENKEEL_CROSS_ARCHITECTURE})
if(NOT triplet_of_${architecture})
  message(FATAL_ERROR "EVENKEEL_CROSS_ARCHITECTURE: i386 or arm64")
endif()

set(CMAKE_SYSTEM_PROCESSOR ${processor_of_${architecture}})
set(CMAKE_C_COMPILER ${triplet_of_${architecture}}-gcc)
set(CMAKE_CXX_COMPILER ${triplet_of_${architecture}}-g++)
set(CMAKE_LIBRARY_ARCHITECTURE ${multiarch_of_${architecture}})

set(sysroot ${CMAKE_CURRENT_LIST_DIR}/../build/cross/${architecture}/sysroot)
get_filename_component(sysroot ${sysroot} ABSOLUTE)
set(libraries ${sysroot}/usr/lib/${multiarch_of_${architecture}})
set(CMAKE_SYSROOT ${sysroot})
set(CMAKE_FIND_ROOT_PATH ${sysroot})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} ${libraries}/pkgconfig:${sysroot}/usr/share/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${sysroot})

if(architecture STREQUAL "i386")
  # The old tag is the one that holds for the libraries of libraries, too.
  string(APPEND CMAKE_EXE_LINKER_FLAGS_INIT " -Wl,--dynamic-linker=${sysroot}/${interpreter_of_i386},--disable-new-dtags"
    " -Wl,-rpath,${libraries}:${sysroot}/lib/${multiarch_of_i386}")
else()
  set(CMAKE_CROSSCOMPILING_EMULATOR qemu-${CMAKE_SYSTEM_PROCESSOR};-L;${sysroot})
endif()
