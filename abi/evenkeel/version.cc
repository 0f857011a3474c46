// SPDX-License-Identifier: MIT
//
// Which library is this: the one function that tells ours from any other with the same names.
#include "abi/export.h"
#include "include/evenkeel/evenkeel.h"

extern "C" EVENKEEL_PUBLIC const char* evenkeel_version() { return EVENKEEL_VERSION; }
