// Proof of the conversions at compile time.
#include "frame/convert.h"
static_assert(cenote::days_from_civil(1970, 1, 1) == 0);
static_assert(cenote::days_from_civil(2000, 3, 1) == 11017);
static_assert(cenote::days_from_civil(1, 1, 1) == -719162);
