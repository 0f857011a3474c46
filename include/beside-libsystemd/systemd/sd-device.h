/* SPDX-License-Identifier: MIT
 *
 * <systemd/sd-device.h> of libsystemd, with our sd-event.h.
 *
 * libsystemd's header includes the sd-event.h that lies beside it, whatever the order of the directories is. Both have
 * the same include guard: whoever includes sd-device.h first would have the older API of the two, and no way to get
 * ours. So ours comes first, and then the file that this one is named after.
 *
 * This directory is only searched where ours is put in front of a libsystemd (pkgconfig/libsystemd.pc.in): by itself,
 * a program is not to find a header that is not there.
 */
#ifdef __GNUC__
#pragma GCC system_header /* include_next is an extension, which -Wpedantic would mention. */
#endif

/* The order is what this file is for. */
/* clang-format off */
#include <systemd/sd-event.h>
#include_next <systemd/sd-device.h>
