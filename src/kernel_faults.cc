// SPDX-License-Identifier: MIT
//
// The seam for faults, of the tests' build of the engine only. See kernel.h.
#include "src/kernel.h"

namespace evenkeel::kernel {

constinit FaultHook fault_hook = nullptr;

}  // namespace evenkeel::kernel
