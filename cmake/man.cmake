# SPDX-License-Identifier: MIT
#
# The manual pages, of man/. They are mdoc(7), written by hand; tools/checks/man-* say what they are held to.
#
# man/NAME.3 is installed as man3/NAME.3evenkeel: a page of section 3, which `man NAME` and `man 3 NAME` find, and which lies
# beside libsystemd-dev's page of that name without a clash of files; with both installed `man 3evenkeel NAME` tells them
# apart. Other sections are installed as they are. For every further name of a page's NAME section a file is made that
# includes the page, so that each function has its own. Nothing is compressed: packages do that as they like.

set(EVENKEEL_MAN_SUFFIX evenkeel)
set(man_links ${PROJECT_BINARY_DIR}/man)
file(REMOVE_RECURSE ${man_links})

file(GLOB man_pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/man/*.[1-8])
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${man_pages})
foreach(page IN LISTS man_pages)
  get_filename_component(name ${page} NAME_WLE)
  get_filename_component(section ${page} LAST_EXT)
  string(SUBSTRING ${section} 1 1 section)
  set(suffix "")
  if(section EQUAL 3)
    set(suffix ${EVENKEEL_MAN_SUFFIX})
  endif()
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} RENAME ${name}.${section}${suffix})

  file(READ ${page} text)
  string(REGEX REPLACE "^.*\n\\.Sh NAME\n(.*)\n\\.Nd .*$" "\\1" text "${text}")
  string(REGEX MATCHALL "\\.Nm [^ \n]+" others "${text}")
  list(TRANSFORM others REPLACE "^\\.Nm " "")
  list(REMOVE_ITEM others ${name})
  list(REMOVE_DUPLICATES others)
  foreach(other IN LISTS others)
    set(link ${man_links}/man${section}/${other}.${section}${suffix})
    file(WRITE ${link} ".so man${section}/${name}.${section}${suffix}\n")
    install(FILES ${link} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
  endforeach()
endforeach()
