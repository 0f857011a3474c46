// SPDX-License-Identifier: MIT
//
// See signal_names.h. The real-time part is a table too, for a description must live as long as its source and cost
// nothing.
#include "src/signal_names.h"

#include <signal.h>

#include <iterator>

namespace evenkeel {

namespace {

struct Name {
  int signo;
  const char* name;
};

constexpr Name kNames[] = {
    {SIGHUP, "HUP"},       {SIGINT, "INT"},   {SIGQUIT, "QUIT"},   {SIGILL, "ILL"},   {SIGTRAP, "TRAP"},
    {SIGABRT, "ABRT"},     {SIGBUS, "BUS"},   {SIGFPE, "FPE"},     {SIGKILL, "KILL"}, {SIGUSR1, "USR1"},
    {SIGSEGV, "SEGV"},     {SIGUSR2, "USR2"}, {SIGPIPE, "PIPE"},   {SIGALRM, "ALRM"}, {SIGTERM, "TERM"},
    {SIGSTKFLT, "STKFLT"}, {SIGCHLD, "CHLD"}, {SIGCONT, "CONT"},   {SIGSTOP, "STOP"}, {SIGTSTP, "TSTP"},
    {SIGTTIN, "TTIN"},     {SIGTTOU, "TTOU"}, {SIGURG, "URG"},     {SIGXCPU, "XCPU"}, {SIGXFSZ, "XFSZ"},
    {SIGVTALRM, "VTALRM"}, {SIGPROF, "PROF"}, {SIGWINCH, "WINCH"}, {SIGIO, "IO"},     {SIGPWR, "PWR"},
    {SIGSYS, "SYS"},
};

constexpr const char* kRealTime[] = {
    "RTMIN+0",  "RTMIN+1",  "RTMIN+2",  "RTMIN+3",  "RTMIN+4",  "RTMIN+5",  "RTMIN+6",  "RTMIN+7",
    "RTMIN+8",  "RTMIN+9",  "RTMIN+10", "RTMIN+11", "RTMIN+12", "RTMIN+13", "RTMIN+14", "RTMIN+15",
    "RTMIN+16", "RTMIN+17", "RTMIN+18", "RTMIN+19", "RTMIN+20", "RTMIN+21", "RTMIN+22", "RTMIN+23",
    "RTMIN+24", "RTMIN+25", "RTMIN+26", "RTMIN+27", "RTMIN+28", "RTMIN+29", "RTMIN+30",
};

// The first real-time signals of the kernel, below SIGRTMIN.
constexpr const char* kReserved[] = {"32", "33"};

}  // namespace

const char* signal_name(int signo) {
  for (const Name& entry : kNames)
    if (entry.signo == signo) return entry.name;
  const int first = SIGRTMIN;
  if (signo >= first && signo <= SIGRTMAX && signo - first < static_cast<int>(std::size(kRealTime)))
    return kRealTime[signo - first];
  if (signo >= 32 && signo < first && signo - 32 < static_cast<int>(std::size(kReserved))) return kReserved[signo - 32];
  return nullptr;
}

}  // namespace evenkeel
