#!/bin/bash
# dfuzz.sh from to steps
cd /work/scratch/h2; bad=0
for ((i=$1;i<=$2;i++)); do ./fuzz $i $3 > f.ref 2>&1; rr=$?; LD_PRELOAD=/work/scratch/h2/lib/libevenkeel.so.0 ./fuzz $i $3 > f.our 2>&1; ro=$?
 if [ $rr != $ro ] || ! cmp -s f.ref f.our; then bad=$((bad+1)); echo "seed $i rc $rr/$ro: $(diff f.ref f.our | head -3 | tr '\n' '|' | cut -c1-220)"; fi; done; echo "differ: $bad"
