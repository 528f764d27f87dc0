#pragma once
#include <string>

#include "protocol/startup.hpp"
#include "proxy/auth/proof.hpp"
#include "proxy/stream.hpp"
#include "proxy/worker.hpp"

namespace pgsteer::proxy {

/// auth.mode = terminate: has the client prove itself by auth.method, or as auth.hba_file says, against auth.file or
/// what auth.query finds. False: it did not, and has been told so (or is gone). A user that does not exist is asked the same questions as one that
/// does. AuthenticationOk is left to the caller. `proof`: what of it opens the server. The caller holds the deadline.
Awaitable<bool> authenticate_client(Worker& worker, Stream& client, const protocol::Startup& startup, std::string client_address,
                                    Proof* proof);

}  // namespace pgsteer::proxy
