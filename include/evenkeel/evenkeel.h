/* SPDX-License-Identifier: MIT
 *
 * What Evenkeel has beyond the libraries that it stands in for.
 *
 * Everything here begins with `evenkeel_`. A program that wants to run on any library looks these functions up by
 * dlsym(3), or declares them weak.
 */
#ifndef EVENKEEL_EVENKEEL_H
#define EVENKEEL_EVENKEEL_H

#ifdef __cplusplus
extern "C" {
#endif

/* The release of the library at hand, as "0.1.0". Of static duration, never NULL. Since 0.1. */
const char* evenkeel_version(void);

#ifdef __cplusplus
}
#endif

#endif
