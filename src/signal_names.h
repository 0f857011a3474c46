// SPDX-License-Identifier: MIT
//
// Names of signals, as kill(1) writes them without SIG: "USR1", "RTMIN+3". Real-time signals count from SIGRTMIN of the
// C library, which keeps the first ones for itself; those, having no name, are given as their number.
#pragma once

namespace evenkeel {

// Of static duration. Null for what is no signal.
const char* signal_name(int signo);

}  // namespace evenkeel
