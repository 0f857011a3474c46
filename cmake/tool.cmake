# SPDX-License-Identifier: MIT
#
# The program `evenkeel` (tools/evenkeel): installed to bindir, and knowing where the library is
# from there, so that a tree may be moved. It is an ordinary C++ program: nothing of it goes into the library.

set(tool_bindir "${CMAKE_INSTALL_FULL_BINDIR}")
set(tool_libdir "${CMAKE_INSTALL_FULL_LIBDIR}")
file(RELATIVE_PATH libdir_from_bindir "${tool_bindir}" "${tool_libdir}")
# What $PLATFORM of ld.so(8) stands for, and the directory of Debian's architectures; a guess where there is none.
set(tool_multiarch "${CMAKE_LIBRARY_ARCHITECTURE}")
if(NOT tool_multiarch)
  set(tool_multiarch "${CMAKE_SYSTEM_PROCESSOR}-linux-gnu")
endif()

add_executable(evenkeel_tool
  tools/evenkeel/closure.cc tools/evenkeel/elf_file.cc tools/evenkeel/examine.cc tools/evenkeel/main.cc
  tools/evenkeel/program.cc)
# In a directory of its own: a file that is called like the library's target would be built in its place.
set_target_properties(evenkeel_tool PROPERTIES OUTPUT_NAME evenkeel RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
target_include_directories(evenkeel_tool PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(evenkeel_tool PRIVATE evenkeel_options)
target_compile_definitions(evenkeel_tool PRIVATE
  EVENKEEL_VERSION="${PROJECT_VERSION}" EVENKEEL_LIBRARY="libevenkeel.so.${PROJECT_VERSION_MAJOR}"
  EVENKEEL_LIBDIR_FROM_BINDIR="${libdir_from_bindir}" EVENKEEL_MULTIARCH="${tool_multiarch}"
  EVENKEEL_PROCESSOR="${CMAKE_SYSTEM_PROCESSOR}")
install(TARGETS evenkeel_tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
