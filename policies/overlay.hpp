#pragma once
#include "policies/policy.hpp"

namespace pgsteer::policies {

/// `base` with everything that `actions` sets.
Effective over(const Actions& actions, Effective base);

}  // namespace pgsteer::policies
