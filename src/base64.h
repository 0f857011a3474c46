// SPDX-License-Identifier: MIT
//
// Base64 (RFC 4648), decoding only, with the digits of section 4 or those of section 5, which URLs can hold.
//
// Idea: a text is right or it is not; nothing is guessed. Padding is mandatory, and bits that stand for nothing are
// zero. The one liberty is white space, which base64(1) puts between its lines.
//
// Nothing is allocated here: the caller has the room that `base64_room` asks for.
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include <string_view>

namespace evenkeel {

// How many bytes a text of `length` characters can stand for at most.
inline constexpr size_t base64_room(size_t length) { return length / 4 * 3; }

// Returns the number of bytes. -EPIPE: the end is missing; -ENAMETOOLONG: something follows the padding; -EINVAL: a
// character or a bit that can't be there. Then what `bytes` holds is of no meaning.
ssize_t decode_base64(std::string_view text, char* bytes);

}  // namespace evenkeel
