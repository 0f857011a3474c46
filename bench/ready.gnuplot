# SPDX-License-Identifier: MIT
#
# The plot of tools/bench: what a dispatch costs over how many descriptors are ready. Variables: medians, the file of the
# figures (columns n and one for each loop, named in the first line); output.
set terminal svg size 800,520 font "sans-serif,13" background "white"
set output output
set logscale xy
set xlabel "descriptors that are ready"
set ylabel "nanoseconds for a dispatch"
set key outside right center
set grid
set datafile missing "-"
set xrange [0.8:12500]
set format x "%.0f"
set format y "%.0f"
columns = int(system("head -n 1 ".medians." | wc -w"))
plot for [i = 2:columns] medians using 1:i with linespoints linewidth (i == columns ? 4 : 2) title columnheader(i)
