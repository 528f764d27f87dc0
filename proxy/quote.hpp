#pragma once
#include <string>
#include <string_view>

namespace pgsteer::proxy {

/// 'it''s', with E'' where there are backslashes: right under every setting of standard_conforming_strings.
std::string quote_literal(std::string_view text);
/// A name as a quoted SQL identifier.
std::string quote_identifier(std::string_view name);

}  // namespace pgsteer::proxy
