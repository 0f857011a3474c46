// SPDX-License-Identifier: MIT
//
// A program that calls sd-bus alone, and leaves the loop to a library of its own (part.c).
//
// With --as-needed, which is Meson's habit, the program itself has no need of Evenkeel; and if libsystemd then came
// before the library that has, all calls of sd-event would be libsystemd's. Exits with 9.
#include <systemd/sd-bus.h>

int run_loop(void);

int main(void) {
  sd_bus* bus = NULL;
  if (sd_bus_new(&bus) < 0) return 1;
  sd_bus_unref(bus);
  return run_loop();
}
