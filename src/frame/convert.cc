// Proof of the conversions at compile time.
#include "frame/convert.h"
static_assert(cenote::days_from_civil(1970, 1, 1) == 0);
static_assert(cenote::days_from_civil(2000, 3, 1) == 11017);
static_assert(cenote::days_from_civil(1, 1, 1) == -719162);
static_assert(cenote::civil_from_days(-719162).year == 1);
static_assert(cenote::civil_from_days(11016).day == 29 &&
              cenote::civil_from_days(11016).month == 2);
static_assert(cenote::civil_from_days(-1).year == 1969 && cenote::civil_from_days(-1).day == 31);
static_assert(cenote::civil_from_days(2932896).year == 9999);
