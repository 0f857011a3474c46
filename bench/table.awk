# SPDX-License-Identifier: MIT
#
# Makes the table of tools/bench: the median of each loop's runs, ratios, and whether the goals are met.
#
#   awk -f table.awk [-v core=yes | -v plot=PROGRAM] scenarios.tsv data.tsv
#
# data.tsv has lines of scenario, loop, value, unit, as the programs print them. With core=yes only the rows for the README,
# and without the columns of less interest. Rows without any figure are left out. With plot=PROGRAM the medians alone: a
# line for each size of the scenarios PROGRAM-SIZE, a column for each loop.
BEGIN {
  FS = OFS = "\t"
  n_loops = split("raw libev libevent libuv glib tevent reference evenkeel", loops, " ")
  split("raw libev libevent libuv GLib tevent reference Evenkeel", names, " ")
  is_peer["libev"] = is_peer["libevent"] = is_peer["libuv"] = is_peer["glib"] = is_peer["tevent"] = 1
}

/^#/ { next }

FNR == NR {
  n_rows++
  key[n_rows] = $1 SUBSEP $2
  is_core[n_rows] = $5
  goals[n_rows] = $6
  title[n_rows] = $7
  note[n_rows] = $8
  next
}

{
  k = $1 SUBSEP $4 SUBSEP $2
  runs[k, ++n_runs[k]] = $3 + 0
  seen[$1, $4] = 1
}

function median(k,    n, i, j, v, sorted) {
  n = n_runs[k]
  for (i = 1; i <= n; i++) {
    v = runs[k, i]
    for (j = i - 1; j > 0 && sorted[j] > v; j--) sorted[j + 1] = sorted[j]
    sorted[j + 1] = v
  }
  return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}

# Three digits count; thousands are set apart.
function figure(v,    text, sign) {
  if (v == "") return "-"
  if (v < 10) return sprintf("%.2g", v)
  if (v < 100) return sprintf("%.0f", v)
  text = sprintf("%d", v + 0.5)
  while (text ~ /[0-9][0-9][0-9][0-9](,|$)/) text = gensub_thousands(text)
  return text
}

function gensub_thousands(text,    head) {
  match(text, /[0-9]+(,|$)/)
  head = substr(text, RSTART, RLENGTH)
  sub(/,$/, "", head)
  return substr(head, 1, length(head) - 3) "," substr(text, length(head) - 2)
}

function ratio(v, base) {
  if (v == "" || base == "" || base == 0) return "-"
  v = v / base
  return v >= 0.1 ? sprintf("%.2f", v) : v > 0 ? sprintf("1/%d", 1 / v + 0.5) : "0"
}

# "met", or what is above the goals: every goal has to be met.
function verdict(all, value,    n, i, list, base, bound, result, text) {
  if (all == "-") return "-"
  n = split(all, list, " ")
  for (i = 1; i <= n; i++) {
    if (match(list[i], /[*\/=]/) == 0) continue
    base = base_of[substr(list[i], 1, RSTART - 1)]
    bound = substr(list[i], RSTART + 1) + 0
    if (list[i] ~ /\*/) bound *= base
    if (list[i] ~ /\//) bound = base / bound
    text = list[i]
    sub(/\*1$/, "", text)
    if (list[i] !~ /=/ && base == "") result = result (i > 1 ? "; " : "") text ": ?"
    else if (value <= bound) result = result (i > 1 ? "; " : "") text ": met"
    else result = result (i > 1 ? "; " : "") text ": not met, " sprintf("%.2f", value / bound) " of it"
  }
  return result
}

function row_figures(r,    i, k) {
  split("", base_of)
  for (i = 1; i <= n_loops; i++) {
    k = key[r] SUBSEP loops[i]
    value_of[i] = (k in n_runs) ? median(k) : ""
    if (value_of[i] == "") continue
    base_of[loops[i]] = value_of[i]
    if (is_peer[loops[i]] && (!("peer" in base_of) || value_of[i] < base_of["peer"])) base_of["peer"] = value_of[i]
  }
}

function plot_medians(    r, i) {
  line = "n"
  for (i = 1; i <= n_loops; i++) line = line " " loops[i]
  print line
  for (r = 1; r <= n_rows; r++) {
    line = key[r]
    sub(SUBSEP ".*", "", line)
    if (!(key[r] in seen) || line !~ ("^" plot "-[0-9]+$")) continue
    sub(".*-", "", line)
    row_figures(r)
    for (i = 1; i <= n_loops; i++) line = line " " (value_of[i] == "" ? "-" : value_of[i])
    print line
  }
}

END {
  if (plot) {
    plot_medians()
    exit
  }
  head = "| |"
  line = "|---|"
  for (i = 1; i <= n_loops; i++) {
    head = head " " names[i] " |"
    line = line "--:|"
  }
  print head (core ? " of the reference |" : " of raw | of the best peer | of the reference | goal |")
  print line (core ? "--:|" : "--:|--:|--:|---|")
  for (r = 1; r <= n_rows; r++) {
    if (!(key[r] in seen) || (core && is_core[r] != "yes")) continue
    row_figures(r)
    text = "| " title[r] " |"
    for (i = 1; i <= n_loops; i++) text = text " " figure(value_of[i]) " |"
    value = value_of[n_loops]
    if (!core) text = text " " ratio(value, base_of["raw"]) " | " ratio(value, base_of["peer"]) " |"
    text = text " " ratio(value, base_of["reference"]) " |"
    judged = value == "" ? "-" : verdict(goals[r], value)
    if (!core) text = text " " judged " |"
    print text
    if (!core && judged ~ /not met/ && note[r] != "") notes = notes "\n- " title[r] ": " note[r] "."
  }
  if (notes != "") print "\nWhat is not met, and why:\n" notes
}
