# SPDX-License-Identifier: MIT
#
# The places of tools/mutate: what could be changed in the C++ files that are named, a line each.
#
# Idea: clang-format has laid out the sources, so that a binary operator has a space on both sides (and a template's
# bracket or a reference has none): most places are found by their text, in lines of which comments and literals have
# been blanked. What is found wrongly does not compile, and does not count.
#
# Output, separated by tabs: file, line, operator, column, length, replacement, the line with [-old-]{+new+} in it. Without
# `seed` in the order of the files. With it in a random order that the seed gives, at most `limit`: operators take turns, in
# proportion to the root of how many places they have; then it is a file's turn of which the smallest share was taken.
#
# Invariants:
#  1. A place lies within one line.
#  2. The same files and the same seed give the same order, with every awk: the random numbers are made here.
#  3. What only the tests have is no place: the seam for faults, and the structures' checks of themselves (`valid`).

FNR == 1 { in_comment = 0; in_seam = 0; in_check = ""; complete = 1 }

{
  line = $0
  code = blank(line)
  if (code ~ /^#ifdef EVENKEEL_FAULTS/) in_seam = 1
  else if (code ~ /^#(else|endif)/) in_seam = 0
  if (match(code, /^ *bool ([A-Za-z]+::)?valid\(\) const \{/)) {
    if (code !~ /\} *$/) in_check = substr(code, 1, match(code, /[^ ]/) - 1) "}"
    next
  }
  if (in_check != "") {
    if (index(code, in_check) == 1) in_check = ""
    next
  }
  if (code ~ /^ *$/ || code ~ /^#/ || in_seam) next
  if (code !~ /static_assert|EVENKEEL_SINCE|^using |^ *friend /) find_places()
  complete = code ~ /([;{}:)]|else) *$/  # Does a statement begin on the next line?
}

# The line with comments, strings and characters blanked, as long as before.
function blank(text,   i, c, out, quote) {
  out = ""
  quote = ""
  for (i = 1; i <= length(text); ++i) {
    c = substr(text, i, 1)
    if (in_comment) {
      if (substr(text, i, 2) == "*/") { in_comment = 0; ++i; out = out " " }
      out = out " "
    } else if (quote != "") {
      if (c == "\\") { ++i; out = out "_" }
      if (c == quote) quote = ""
      out = out "_"
    } else if (substr(text, i, 2) == "//") {
      while (length(out) < length(text)) out = out " "
      return out
    } else if (substr(text, i, 2) == "/*") {
      in_comment = 1
      ++i
      out = out "  "
    } else if (c == "\"" || (c == "'" && substr(text, i - 1, 1) !~ /[0-9]/)) {
      quote = c
      out = out "_"
    } else {
      out = out c
    }
  }
  return out
}

function place(operator, at, len, new,   shown) {
  ++n
  shown = substr(line, 1, at - 1) "[-" substr(line, at, len) "-]{+" new "+}" substr(line, at + len)
  sub(/^ +/, "", shown)
  operators[n] = operator
  files[n] = FILENAME
  ++in_file[FILENAME]
  rows[n] = FILENAME "\t" FNR "\t" operator "\t" at "\t" len "\t" new "\t" shown
}

# Every occurrence of `old` (a text, not an expression) that no letter or digit follows.
function each(operator, old, at, len, new,   from, i) {
  for (from = 1; (i = index(substr(code, from), old)) > 0; from += i) {
    if (substr(code, from + i - 1 + length(old), 1) ~ /[A-Za-z0-9_.]/ && old !~ / $/) continue
    place(operator, from + i - 1 + at, len, new)
  }
}

function each_word(operator, old, new,   from, i) {
  for (from = 1; (i = index(substr(code, from), old)) > 0; from += i)
    if (substr(" " code, from + i - 1, 1) !~ /[A-Za-z0-9_]/ && substr(code, from + i - 1 + length(old), 1) !~ /[A-Za-z0-9_]/)
      place(operator, from + i - 1, length(old), new)
}

# Where the bracket that is opened at `at` is closed; 0 when it is on another line.
function closing(at,   depth, c) {
  for (depth = 0; at <= length(code); ++at) {
    c = substr(code, at, 1)
    if (c == "(") ++depth
    else if (c == ")" && --depth == 0) return at
  }
  return 0
}

function find_places() {
  each("compare", " < ", 1, 1, "<=")
  each("compare", " > ", 1, 1, ">=")
  each("compare", " <= ", 1, 2, "<")
  each("compare", " >= ", 1, 2, ">")
  each("compare", " == ", 1, 2, "!=")
  each("compare", " != ", 1, 2, "==")
  each("off-by-one", " + 1", 3, 1, "0")
  each("off-by-one", " - 1", 3, 1, "0")
  each("logic", " && ", 1, 2, "||")
  each("logic", " || ", 1, 2, "&&")
  each_word("boolean", "true", "false")
  each_word("boolean", "false", "true")
  find_conditions("if (")
  find_conditions("while (")
  find_masks(" & ")
  find_masks(" | ")
  find_errors()
  find_statements()
}

# `if (init; condition)`: the condition alone is negated.
function find_conditions(keyword,   from, i, open, shut, at, depth, c, begin) {
  for (from = 1; (i = index(substr(code, from), keyword)) > 0; from += i) {
    if (from + i - 2 > 0 && substr(code, from + i - 2, 1) != " ") continue
    open = from + i - 2 + length(keyword)
    shut = closing(open)
    if (!shut) continue
    begin = open + 1
    for (at = open; at < shut; ++at)
      if (substr(code, at, 2) == "; ") begin = at + 2
    place("negate", begin, shut - begin, "!(" substr(line, begin, shut - begin) ")")
  }
}

function find_masks(operator,   from, i, at, rest, end) {
  for (from = 1; (i = index(substr(code, from), operator)) > 0; from += i) {
    at = from + i - 1
    rest = substr(code, at + 3)
    if (!match(rest, /^~?[A-Za-z0-9_:.>-]+/)) continue
    end = at + 3 + RLENGTH
    if (substr(code, end, 1) == "(") {
      end = closing(end)
      if (!end) continue
      ++end
    }
    place("mask", at, end - at, "")
  }
}

function find_errors(   i) {
  if (match(code, /return -E[A-Z0-9]+;/)) place("errno", RSTART + 7, RLENGTH - 8, "0")
}

# Splits the line at ";", "{" and "}" outside of brackets; what begins and ends on it may be removed.
function find_statements(   at, begin, depth, c, whole) {
  begin = 1
  depth = 0
  whole = complete
  for (at = 1; at <= length(code); ++at) {
    c = substr(code, at, 1)
    if (c == "(") ++depth
    else if (c == ")") --depth
    else if (depth == 0 && index(";{}", c)) {
      if (c == ";" && whole) find_statement(begin, at)
      begin = at + 1
      whole = 1
    }
  }
}

function find_statement(begin, end,   text, shut) {
  while (1) {
    while (substr(code, begin, 1) == " ") ++begin
    if (substr(code, begin, 5) == "else ") begin += 5
    else if (match(substr(code, begin, end - begin), /^(if|for|while) \(/)) {
      shut = closing(begin + RLENGTH - 1)
      if (!shut || shut >= end) return
      begin = shut + 1
    } else break
  }
  text = substr(code, begin, end - begin)
  if (text ~ /^(\(void\))?[A-Za-z_:*][A-Za-z0-9_:.>\]\[-]*\(.*\)$/) place("call", begin, end - begin, "")
  else if (text ~ /^[A-Za-z_*][A-Za-z0-9_:.>)(\]\[*-]* [-+|&]?= / && text !~ /= (default|delete)$/)
    place("assignment", begin, end - begin, "")
  else if (text ~ /^(\+\+|--)[A-Za-z_*]/) place("assignment", begin, end - begin, "")
}

# Park and Miller's generator: its products are exact in a double.
function random() {
  state = (state * 16807) % 2147483647
  return state
}

END {
  if (seed == "") {
    for (i = 1; i <= n; ++i) print rows[i]
    exit
  }
  state = seed % 2147483646 + 1
  for (i = 0; i < 10; ++i) random()
  for (i = 1; i <= n; ++i) {
    key[i] = random()
    left[operators[i]]++
    of_all[operators[i]]++
  }
  for (taken = 0; taken < n && taken < limit; ++taken) {
    operator = ""
    for (o in left) {
      turn = of_operator[o] / sqrt(of_all[o])
      if (left[o] > 0 && (operator == "" || turn < best_turn || (turn == best_turn && o < operator))) {
        operator = o
        best_turn = turn
      }
    }
    best = 0
    for (i = 1; i <= n; ++i) {
      if (done[i] || operators[i] != operator) continue
      share = of_file[files[i]] / in_file[files[i]]
      if (!best || share < best_share || (share == best_share && key[i] < key[best])) {
        best = i
        best_share = share
      }
    }
    done[best] = 1
    --left[operator]
    ++of_operator[operator]
    ++of_file[files[best]]
    print rows[best]
  }
}
