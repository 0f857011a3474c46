# SPDX-License-Identifier: MIT
#
# Makes the linker's version script from the lists abi/*/symbols.tsv.
#
# The idea: one list a shim, appended to and never changed; the nodes are chained in the order of the releases, as
# libsystemd chains its own. SD_SHARED has no symbol of its own: the shims bind their functions to it by .symver.

function(evenkeel_version_script output)
  set(nodes "")
  foreach(list IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${list}")
    file(STRINGS "${list}" lines REGEX "^[A-Z]")
    foreach(line IN LISTS lines)
      string(REGEX MATCH "^([A-Z]+_[0-9]+)\t([a-z_0-9]+)$" matched "${line}")
      if(NOT matched)
        message(FATAL_ERROR "${list}: not a node, a tabulator and a symbol: ${line}")
      endif()
      list(APPEND nodes "${CMAKE_MATCH_1}")
      list(APPEND "symbols_${CMAKE_MATCH_1}" "${CMAKE_MATCH_2}")
    endforeach()
  endforeach()
  list(REMOVE_DUPLICATES nodes)
  list(SORT nodes COMPARE NATURAL)

  set(text "/* Made by cmake/version_script.cmake. */\n")
  set(previous_of_LIBSYSTEMD "")
  set(previous_of_EVENKEEL "")
  set(local "  local:\n    *;\n")
  foreach(node IN LISTS nodes)
    string(REGEX REPLACE "_[0-9]+$" "" family "${node}")
    list(SORT "symbols_${node}")
    list(JOIN "symbols_${node}" ";\n    " names)
    string(APPEND text "${node} {\n  global:\n    ${names};\n${local}}${previous_of_${family}};\n\n")
    set("previous_of_${family}" " ${node}")
    set(local "")
  endforeach()
  string(APPEND text "SD_SHARED {\n};\n")
  file(CONFIGURE OUTPUT "${output}" CONTENT "${text}" @ONLY)
endfunction()
