#pragma once
// XXH3 compiled into the file that uses it: libpg_query exports its own copies of the XXH symbols, so linking the
// library would pick one of the two by chance.
#define XXH_INLINE_ALL
#include <xxhash.h>
