// SPDX-License-Identifier: MIT
//
// The engine's own check behind a C name, for the fuzz target, which is C and knows the C ABI alone.
//
// A handle is a loop (abi/sd-event/handles.h). The check prints what does not hold; it asks the kernel nothing.
#include "abi/sd-event/handles.h"

extern "C" bool evenkeel_check(sd_event* event) { return evenkeel::sd::to_loop(event)->check_invariants(); }
