#include "proxy/tls/tls.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>

namespace pgsteer::proxy {
namespace {

/// The protocol's name for ALPN, as on the wire.
constexpr unsigned char kAlpn[] = {10, 'p', 'o', 's', 't', 'g', 'r', 'e', 's', 'q', 'l'};

/// A client that reads by readiness may be left waiting for the end of a larger record; small ones cost little.
constexpr long kMaxRecord = 8192;

std::string last_error() {
  std::array<char, 256> text{};
  ::ERR_error_string_n(::ERR_peek_last_error(), text.data(), text.size());
  const std::string whole = text.data();
  ::ERR_clear_error();
  return whole.substr(whole.rfind(':') + 1);
}

/// A client that offers protocols must offer ours: something meant for another service ends here (the ALPACA attack).
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_bytes, const unsigned char* offered, unsigned offered_bytes, void*) {
  unsigned char* found = nullptr;
  if (::SSL_select_next_proto(&found, chosen_bytes, kAlpn, sizeof kAlpn, offered, offered_bytes) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

void common_options(SSL_CTX* context) {
  ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  ::SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  ::SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_max_send_fragment(context, kMaxRecord);
}

/// Certificate and key; "" or what is wrong with them.
std::string load_pair(SSL_CTX* context, const std::string& certificate, const std::string& key, const char* certificate_name, const char* key_name) {
  if (::SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1)
    return fmt::format("{}: expected a certificate in PEM form in '{}': {}", certificate_name, certificate, last_error());
  if (::SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
    return fmt::format("{}: expected the certificate's private key in PEM form in '{}': {}", key_name, key, last_error());
  return {};
}

const EVP_MD* digest_of_signature(X509* certificate) {
  int digest = NID_undef;
  if (::OBJ_find_sigid_algs(::X509_get_signature_nid(certificate), &digest, nullptr) != 1 || digest == NID_undef) return nullptr;
  if (digest == NID_md5 || digest == NID_sha1) return ::EVP_sha256();
  return ::EVP_get_digestbynid(digest);
}

}  // namespace

void TlsContexts::Free::operator()(ssl_ctx_st* context) const { ::SSL_CTX_free(context); }

TlsContexts::Context TlsContexts::client_side(const Config::Tls& tls, std::string* error) {
  Context context(::SSL_CTX_new(::TLS_server_method()));
  common_options(context.get());
  *error = load_pair(context.get(), tls.certificate_file, tls.key_file, "tls.certificate_file", "tls.key_file");
  if (!error->empty()) return nullptr;
  ::SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, nullptr);
  ::SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  ::SSL_CTX_set_num_tickets(context.get(), 0);
  ::SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
  if (tls.client_ca_file.empty()) return context;
  if (::SSL_CTX_load_verify_locations(context.get(), tls.client_ca_file.c_str(), nullptr) != 1) {
    *error = fmt::format("tls.client_ca_file: expected certificates in PEM form in '{}': {}", tls.client_ca_file, last_error());
    return nullptr;
  }
  ::SSL_CTX_set_client_CA_list(context.get(), ::SSL_load_client_CA_file(tls.client_ca_file.c_str()));
  const bool demanded = tls.mode == "verify-ca" || tls.mode == "verify-full";
  ::SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | (demanded ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  return context;
}

TlsContexts::Context TlsContexts::server_side(const Endpoint& endpoint, std::string* error) {
  Context context(::SSL_CTX_new(::TLS_client_method()));
  common_options(context.get());
  ::SSL_CTX_set_alpn_protos(context.get(), kAlpn, sizeof kAlpn);
  if (!endpoint.sslcert.empty()) {
    *error = load_pair(context.get(), endpoint.sslcert, endpoint.sslkey, "upstream.url: sslcert", "upstream.url: sslkey");
    if (!error->empty()) return nullptr;
  }
  // With a root certificate at hand libpq's require is its verify-ca.
  const bool verify = endpoint.sslmode.starts_with("verify-") || (endpoint.sslmode == "require" && !endpoint.sslrootcert.empty());
  if (!verify) return context;
  const bool loaded = endpoint.sslrootcert == "system" ? ::SSL_CTX_set_default_verify_paths(context.get()) == 1
                                                       : ::SSL_CTX_load_verify_locations(context.get(), endpoint.sslrootcert.c_str(), nullptr) == 1;
  if (!loaded) {
    *error = fmt::format("upstream.url: sslrootcert: expected certificates in PEM form in '{}': {}", endpoint.sslrootcert, last_error());
    return nullptr;
  }
  ::SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  return context;
}

std::shared_ptr<const TlsContexts> TlsContexts::load(const Config& config, std::string* error) {
  auto contexts = std::make_shared<TlsContexts>();
  if (config.tls.mode != "disable") {
    contexts->clients_ = client_side(config.tls, error);
    if (!contexts->clients_) return nullptr;
  }
  const auto upstreams = parse_upstreams(config.upstream.url, error);
  const auto tls = [](const Endpoint& one) { return one.wants_tls(); };  // alike but for their names
  const auto first = upstreams ? std::find_if(upstreams->hosts.begin(), upstreams->hosts.end(), tls) : std::vector<Endpoint>::const_iterator();
  if (upstreams && first != upstreams->hosts.end()) {
    contexts->servers_ = server_side(*first, error);
    if (!contexts->servers_) return nullptr;
  }
  return contexts;
}

ssl_st* TlsContexts::for_client() const { return clients_ ? ::SSL_new(clients_.get()) : nullptr; }

ssl_st* TlsContexts::for_server(const Endpoint& endpoint) const {
  if (!servers_) return nullptr;
  SSL* ssl = ::SSL_new(servers_.get());
  unsigned char address[16];
  const bool numeric = ::inet_pton(AF_INET, endpoint.host.c_str(), address) == 1 || ::inet_pton(AF_INET6, endpoint.host.c_str(), address) == 1;
  if (!numeric) SSL_set_tlsext_host_name(ssl, endpoint.host.c_str());
  if (endpoint.sslmode != "verify-full") return ssl;
  if (numeric) {
    ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(ssl), endpoint.host.c_str());
  } else {
    ::SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    ::SSL_set1_host(ssl, endpoint.host.c_str());
  }
  return ssl;
}

std::int64_t TlsContexts::certificate_ends() const {
  X509* const certificate = clients_ ? ::SSL_CTX_get0_certificate(clients_.get()) : nullptr;
  std::tm moment{};
  return certificate && ::ASN1_TIME_to_tm(::X509_get0_notAfter(certificate), &moment) == 1 ? static_cast<std::int64_t>(::timegm(&moment)) : 0;
}

TlsHandshakes& tls_handshakes() {
  static TlsHandshakes counts;
  return counts;
}

bool shows_certificate(ssl_st* ssl) {
  return ssl && ::SSL_get0_peer_certificate(ssl) && ::SSL_get_verify_result(ssl) == X509_V_OK;
}

std::string peer_common_name(ssl_st* ssl) {
  if (!shows_certificate(ssl)) return {};
  X509* const certificate = ::SSL_get0_peer_certificate(ssl);
  X509_NAME* const subject = ::X509_get_subject_name(certificate);
  const int at = ::X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return {};
  unsigned char* text = nullptr;
  const int bytes = ::ASN1_STRING_to_UTF8(&text, ::X509_NAME_ENTRY_get_data(::X509_NAME_get_entry(subject, at)));
  if (bytes < 0) return {};
  std::string name(reinterpret_cast<const char*>(text), static_cast<std::size_t>(bytes));
  ::OPENSSL_free(text);
  // A name with a zero in it is meant to be read to different ends by different readers.
  return name.find('\0') == name.npos ? name : std::string();
}

std::string server_end_point(ssl_st* ssl, bool we_are_the_server) {
  if (!ssl) return {};
  X509* const certificate = we_are_the_server ? ::SSL_get_certificate(ssl) : ::SSL_get0_peer_certificate(ssl);
  const EVP_MD* const digest = certificate ? digest_of_signature(certificate) : nullptr;
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (!digest || ::X509_digest(certificate, digest, bytes, &size) != 1) return {};
  return {reinterpret_cast<const char*>(bytes), size};
}

bool negotiated_postgresql(ssl_st* ssl) {
  const unsigned char* chosen = nullptr;
  unsigned bytes = 0;
  ::SSL_get0_alpn_selected(ssl, &chosen, &bytes);
  return bytes == sizeof kAlpn - 1;  // ours is the only one that can have been chosen
}

std::string tls_description(ssl_st* ssl) { return ssl ? fmt::format("{}/{}", ::SSL_get_version(ssl), ::SSL_get_cipher_name(ssl)) : std::string(); }

std::string tls_failure(ssl_st* ssl) {
  const auto verified = ssl ? ::SSL_get_verify_result(ssl) : X509_V_OK;
  if (verified != X509_V_OK) return ::X509_verify_cert_error_string(verified);
  return ::ERR_peek_last_error() ? last_error() : "the other side closed the connection";
}

}  // namespace pgsteer::proxy
