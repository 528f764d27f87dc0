#pragma once
#include "proxy/http/json.hpp"
#include "proxy/log.hpp"

namespace pgsteer::proxy::http {

ordered_json point_of(const Span& span);          ///< one point of a trend: rates, percentiles, who is here (overview.cpp)
ordered_json event_of(const LogEvent& event);     ///< one line of the log, whole and in its fields

}  // namespace pgsteer::proxy::http
