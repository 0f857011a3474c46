/* SPDX-License-Identifier: MIT
 *
 * What makes a function part of an ABI.
 *
 * The idea: everything is compiled with hidden visibility, so a symbol leaves the library only where a shim says
 * EVENKEEL_PUBLIC, and only if the version script, which is made from the lists `abi/<name>/symbols.tsv`, gives it a
 * version as well. Two places that must agree keep a helper from becoming a promise by accident.
 *
 * A shim includes this file before the public header that it implements: the promise that no exception leaves a
 * function then is part of the declaration. Programs see the same declaration without it, because one that declares
 * such a function once more, as mocks do, would not compile otherwise.
 */
#pragma once

#define EVENKEEL_PUBLIC __attribute__((visibility("default")))

#ifdef __cplusplus
#define _sd_noexcept_ noexcept
#endif
