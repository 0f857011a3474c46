/* SPDX-License-Identifier: MIT
 *
 * Macros that the other headers of this directory share; programs include those, not this one.
 *
 * The idea: libsystemd's headers come with a file of this name too, and one program may include headers of both. The
 * include guard and the names are therefore the same, whichever file comes first serves both families, and:
 *  1. Every name that libsystemd's headers of version 252 use is here, and _SD_ENUM_TYPE_S64, which newer ones use.
 *  2. Our headers use nothing that the file of version 252 does not have.
 *
 * Valid in C89 and later and in C++; needs nothing but <stdint.h>.
 */
#ifndef foosdcommonhfoo
#define foosdcommonhfoo

#include <stdint.h>

/* Told when an object that carries `userdata` is really gone. */
typedef void (*_sd_destroy_t)(void* userdata);

/* ---- Hints for the compiler ---- */

#if defined(__GNUC__) || defined(__clang__)
#define _sd_attribute_(words) __attribute__(words)
#else
#define _sd_attribute_(words)
#endif

/* Format string and first argument to check against it, counted from 1. */
#ifndef _sd_printf_
#define _sd_printf_(format, first) _sd_attribute_((__format__(__printf__, format, first)))
#endif

/* A variadic list that ends with NULL. */
#ifndef _sd_sentinel_
#define _sd_sentinel_ _sd_attribute_((__sentinel__))
#endif

#ifndef _sd_packed_
#define _sd_packed_ _sd_attribute_((__packed__))
#endif

#ifndef _sd_pure_
#define _sd_pure_ _sd_attribute_((__pure__))
#endif

#ifndef _sd_const_
#define _sd_const_ _sd_attribute_((__const__))
#endif

/* Stands behind enumerators as well, which GCC took only from version 6 on. */
#ifndef _sd_deprecated_
#if defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 6)
#define _sd_deprecated_ _sd_attribute_((__deprecated__))
#else
#define _sd_deprecated_
#endif
#endif

/* ---- Text ---- */

#ifndef _SD_STRINGIFY
#define _SD_XSTRINGIFY(word) #word
#define _SD_STRINGIFY(word) _SD_XSTRINGIFY(word)
#endif

/* ---- Declarations: each is written with a semicolon behind it, and must take one ---- */

#ifndef _SD_BEGIN_DECLARATIONS
#ifdef __cplusplus
#define _SD_BEGIN_DECLARATIONS \
  extern "C" {                 \
  struct _sd_takes_the_semicolon_
#else
#define _SD_BEGIN_DECLARATIONS struct _sd_takes_the_semicolon_
#endif
#endif

#ifndef _SD_END_DECLARATIONS
#ifdef __cplusplus
#define _SD_END_DECLARATIONS \
  }                          \
  struct _sd_takes_the_semicolon_
#else
#define _SD_END_DECLARATIONS struct _sd_takes_the_semicolon_
#endif
#endif

/* Between the brackets of an array parameter: at least so many elements. C++ has no such thing. */
#ifndef _SD_ARRAY_STATIC
#if !defined(__cplusplus) && defined(__STDC_VERSION__) && __STDC_VERSION__ >= 199901L
#define _SD_ARRAY_STATIC static
#else
#define _SD_ARRAY_STATIC
#endif
#endif

/* Defines `<unref>p`, for __attribute__((cleanup(...))): ends the reference in a variable that goes out of scope. */
#ifndef _SD_DEFINE_POINTER_CLEANUP_FUNC
#define _SD_DEFINE_POINTER_CLEANUP_FUNC(type, unref) \
  static __inline__ void unref##p(type** variable) { \
    if (*variable) (void)unref(*variable);           \
  }                                                  \
  struct _sd_takes_the_semicolon_
#endif

/* ---- Enumerations whose size must not depend on what is in them today ---- */

/* Two enumerators that make any compiler use 64 bits. */
#ifndef _SD_ENUM_FORCE_S64
#define _SD_ENUM_FORCE_S64(id) _SD_##id##_INT64_MIN = INT64_MIN, _SD_##id##_INT64_MAX = INT64_MAX
#endif

/* The name of an enumeration with its type behind it, where the language has that; used together with the former. */
#ifndef _SD_ENUM_TYPE_S64
#if (defined(__cplusplus) && __cplusplus >= 201103L) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L)
#define _SD_ENUM_TYPE_S64(id) \
  id:                         \
  int64_t
#else
#define _SD_ENUM_TYPE_S64(id) id
#endif
#endif

#endif
