// SPDX-License-Identifier: MIT
//
// From a seed to a program, and from a program to C.
//
// Invariant: the same seed gives the same program for ever (as long as the table of operations is the same): nothing is
// drawn from anywhere else. The generator knows no library; what must not be done is for the runtime to avoid, which
// knows the state of things.
#pragma once

#include <cstdint>
#include <string>

extern "C" {
#include "operations.h"
}

namespace evenkeel::fuzz {

// To be compared with that release of libsystemd, which changes nothing of the list.
Program generate(uint64_t seed, unsigned release);

// A program in C that includes runtime.h and does the same.
std::string as_c(const Program& program, const std::string& comment);

// A few words: its modes and its length.
std::string describe(const Program& program);

}  // namespace evenkeel::fuzz
