#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace pgsteer::test {

/// Runs one session of the proxy with both its ends in the hands of `data`: a script of what a client and a server send, byte for
/// byte or as whole messages, in any order and of any sense. Afterwards both ends are closed. Returns what was broken: a session that
/// does not end, or that leaves marks, statements in flight or slots behind; "" when nothing was. Crashes are the sanitizers' to find.
///
/// The first byte chooses: bit 0 a session of a transaction pool, bit 1 mode auto with every rule, a strict cache and reuse (else
/// observe), bit 2 the login is done at once (else the script's server has to). Then steps: one byte (its low four bits say what, see
/// the .cpp), and what belongs to it.
std::string run_session_input(const std::uint8_t* data, std::size_t size);

}  // namespace pgsteer::test
