// SPDX-License-Identifier: MIT
//
// The differences between the libraries that are known, and how the programs keep clear of them.
//
// Idea: a random program must not stumble over what is decided already, or it would hide what is not. Each row has the
// name by which the code refers to it, the row of conformance/differences.tsv to which it belongs (so that a
// conformance test holds it, on both libraries), the releases of libsystemd that differ so ("they" in the reason, each
// of which the row of the other table names, too), and the reason. A program is made for one release. Where an
// operation would step into one, it says `avoided(kName)`, which is a line of the trace (of both libraries alike, for
// it depends on nothing that the libraries differ in) and does nothing else. `tools/fuzz --differences` prints the
// table.
//
// Where nothing would be skipped but an argument or a weight is chosen differently, a comment names the row.
//
// Differences of asking are not in this table: two kinds of programs see to them. Strict programs make the loop look at
// everything in each iteration, and compare all flags; lazy programs do not, and compare what was dispatched.
#ifndef EVENKEEL_FUZZ_DIFFERENCES_H
#define EVENKEEL_FUZZ_DIFFERENCES_H

#define FUZZ_DIFFERENCES(X)                                                                                            \
  X(PostInCallback, kPostOfCallback, "252 257",                                                                        \
    "a post source added or turned on in a callback follows that very dispatch with us; they wait for the next")       \
  X(OneshotFromOff, kOneshotThenOn, "252 257",                                                                         \
    "they register as one-shot what is ONESHOT by then: its revents are the first ones only, and ON does not undo it") \
  X(SignalMoved, kQueuedSignals, "252 257 262",                                                                        \
    "they lose queued signals when the priority of their source is changed after one was read")                        \
  X(SignalExpire, kQueuedSignals, "252 257 262",                                                                       \
    "they may not read the signals that are left when a rate limit ends or is set anew, until another one is sent")    \
  X(LazySignal, kAskedBefore, "252 257 262",                                                                           \
    "a signal that was read goes with its source; we read it when it could be dispatched, they earlier")               \
  X(LazyInotify, kAskedBefore, "252 257 262",                                                                          \
    "events of a source that is turned off are dropped if they were read; they read them earlier, or later")           \
  X(LazyMerge, kAskedBefore, "252 257 262",                                                                            \
    "the kernel merges equal signals until somebody reads, and they read earlier")                                     \
  X(ChildGone, kLostChild, "252 257 262",                                                                              \
    "run() fails with -ECHILD again and again for a source whose process is reaped")                                   \
  X(StoppedPrepare, kPrepareLooks, "252 257 262",                                                                      \
    "they look at everything in the first prepare() after a source for WSTOPPED came; only run() is compared then")    \
  X(StoppedOff, kStoppedOff, "252 257 262",                                                                            \
    "they lose what happens to a process while its source for WSTOPPED is OFF, and abort if none is on")               \
  X(LazyRevents, kAskedBefore, "252 257 262",                                                                          \
    "what an IO source is dispatched for is true, but may not be all: we did not ask again")                           \
  X(LazyEdge, kAskedBefore, "252 257 262",                                                                             \
    "an edge that comes while its source is pending is a second one for us, and the same for them, who asked again")   \
  X(LazyTimers, kAskedBefore, "252 257 262",                                                                           \
    "timers that elapsed unasked become pending together, behind descriptors: what was first among equals is lost")    \
  X(LazyTies, kAskedBefore, "252 257 262",                                                                             \
    "of two equals that become ready one after the other while better sources are dispatched either may go first")     \
  X(StoppedFds, kSigchldFreed, "252 257 262",                                                                          \
    "they leak their signalfd for SIGCHLD if sources for WSTOPPED and for WEXITED alone were in one loop")             \
  X(DestroyOrder, kFreedByLoop, "252 257 262",                                                                         \
    "in which order a loop that goes frees the sources that it owns is nobody's promise; we begin with the oldest")    \
  X(SignalBesideChild, kForkedSignalfd, "252 257 262",                                                                 \
    "they abort upon a signal whose source is OFF or freed where a child source is: a program has one kind of them")   \
  X(ExitInPrepare, kExitInPrepare, "252 257 262",                                                                      \
    "prepare() says 0 when a prepare callback asked for the exit: who sleeps on the descriptor then sleeps on")        \
  X(BufferedPrepare, kPrepareLooks, "252 257 262",                                                                     \
    "they look at everything in prepare() when inotify events are buffered, of ours eight")                            \
  X(LimitedExpire, kLimitCallback, "252 257",                                                                          \
    "the callback for the end of a rate limit has an iteration of its own with us, and with them only sometimes")      \
  X(MovedFd, kMovedFd, "252 257 262", "they tell a source with a new descriptor of the old one's event")               \
  X(OneshotGathers, kOneshotGathers, "252 257",                                                                        \
    "what was ON before it was ONESHOT gathers revents while it is pending with them")                                 \
  X(OneshotEdge, kEdgeOfOneshot, "252 257",                                                                            \
    "with us an edge comes again when its source changes between ON and ONESHOT")                                      \
  X(LazyChild, kAskedBefore, "252 257 262",                                                                            \
    "they know earlier that a process has ended, and then have nobody to send a signal to")                            \
  X(LimitedReturn, kAskedBefore, "252 257 262",                                                                        \
    "they see that a limit is over after they have asked, so what comes back, not pending, waits for the next "        \
    "iteration")                                                                                                       \
  X(LimitedFd, kLimitedFd, "252 257 262",                                                                              \
    "wait() fails for ever when a limit ends and the source's descriptor is another one's; we turn it off")            \
  X(LimitedEdge, kAskedBefore, "252 257 262",                                                                          \
    "who comes back is registered anew, which is an edge; it is dispatched for it or not, as the loop asks or not")    \
  X(LimitedOff, kLimitedOff, "252 257",                                                                                \
    "when the rate limit of a source that is OFF ends, they find out at some later iteration")                         \
  X(LimitedOffElsewhere, kLimitedOffElsewhere, "262", "the same, where there are timers on several clocks")            \
  X(RelativeNever, kRelativeNever, "252 257 262",                                                                      \
    "add_time_relative(UINT64_MAX) is -EOVERFLOW with them, and means never with us")                                  \
  X(EndOfTime, kEndOfTime, "252 257 262",                                                                              \
    "prepare() fails for a timer that moves to where time and accuracy reach the end of time")                         \
  X(PendingPolled, kAskedBefore, "252 257 262",                                                                        \
    "whether what is pending, and known, wakes who polls the descriptor depends on what was told to the kernel")

enum Avoided {
#define X(name, row, releases, reason) kAvoid##name,
  FUZZ_DIFFERENCES(X)
#undef X
      kAvoidedCount
};

#endif
