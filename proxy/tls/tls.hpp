#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "proxy/config.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace pgsteer::proxy {

/// What certificates, keys and authorities a configuration names, loaded and checked. Immutable and shared by all threads; a reload
/// makes new ones, and connections that are open keep those they were made with.
class TlsContexts {
 public:
  /// nullptr with a reason ("tls.key_file: ...") when something cannot be used.
  static std::shared_ptr<const TlsContexts> load(const Config& config, std::string* error);

  ssl_st* for_client() const;  ///< a new handle for Stream::handshake() as the server; null: clients get no TLS
  /// The same as a client of upstream.url; null: sslmode does not ask for TLS.
  ssl_st* for_server(const Endpoint& endpoint) const;
  /// When the certificate shown to clients ends, unix seconds; 0: they get no TLS.
  std::int64_t certificate_ends() const;

 private:
  struct Free {
    void operator()(ssl_ctx_st* context) const;
  };
  using Context = std::unique_ptr<ssl_ctx_st, Free>;
  static Context client_side(const Config::Tls& tls, std::string* error);
  static Context server_side(const Endpoint& endpoint, std::string* error);

  Context clients_, servers_;
};

/// Handshakes of this process, by which side they were with and how they ended.
struct TlsHandshakes {
  std::atomic<std::uint64_t> with_clients{0}, with_clients_failed{0}, with_servers{0}, with_servers_failed{0};
};
TlsHandshakes& tls_handshakes();

bool shows_certificate(ssl_st* ssl);  ///< the other side has shown one, and it was verified
/// Common name of the certificate that the other side has shown and that was verified; "" without one.
std::string peer_common_name(ssl_st* ssl);
/// Data of channel binding tls-server-end-point (RFC 5929): a hash of the server's certificate, ours or the other side's. "" when there
/// is no TLS, or a certificate whose signature has no hash.
std::string server_end_point(ssl_st* ssl, bool we_are_the_server);
bool negotiated_postgresql(ssl_st* ssl);  ///< by ALPN, as a direct TLS connection must
std::string tls_description(ssl_st* ssl);  ///< "TLSv1.3/TLS_AES_256_GCM_SHA384"; "" without TLS
std::string tls_failure(ssl_st* ssl);      ///< why the handshake that just ended on this thread did not succeed

}  // namespace pgsteer::proxy
