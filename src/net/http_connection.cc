// TLS set up by OpenSSL's own calls where Asio has none.
#include "net/http_connection.h"

#include <cerrno>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

namespace cenote {

namespace ssl = boost::asio::ssl;

Result<TlsContext> make_server_tls(const TlsFiles& files) {
  auto tls = std::make_shared<ssl::context>(ssl::context::tls_server);
  boost::system::error_code error;
  const auto check = [&](const std::string& what) {
    return error ? make_error(ErrorKind::kConfig, what + ": " + error.message()) : Status::OK();
  };
  SSL_CTX_set_min_proto_version(tls->native_handle(), TLS1_2_VERSION);
  // No renegotiation, which a client could repeat without end; no tickets, which outlive a key.
  SSL_CTX_set_options(tls->native_handle(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  tls->use_certificate_chain_file(files.certificate, error);
  ARROW_RETURN_NOT_OK(check("the certificate " + files.certificate));
  tls->use_private_key_file(files.key, ssl::context::pem, error);
  ARROW_RETURN_NOT_OK(check("the private key " + files.key));
  if (SSL_CTX_check_private_key(tls->native_handle()) != 1) {
    return make_error(ErrorKind::kConfig, "the private key " + files.key +
                                              " does not belong to the certificate " +
                                              files.certificate);
  }
  if (files.client_ca.empty()) return tls;
  tls->load_verify_file(files.client_ca, error);
  ARROW_RETURN_NOT_OK(check("the certificate authority " + files.client_ca));
  tls->set_verify_mode(ssl::verify_peer, error);
  ARROW_RETURN_NOT_OK(check("verifying clients"));
  return tls;
}

std::vector<std::string> HttpConnection::peer_names() {
  std::vector<std::string> names;
  if (!secure_) return names;
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      SSL_get1_peer_certificate(secure_->native_handle()), X509_free);
  if (certificate == nullptr) return names;
  auto* found = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(found); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(found, i);
    if (name->type != GEN_DNS && name->type != GEN_URI) continue;
    const ASN1_IA5STRING* text =
        name->type == GEN_DNS ? name->d.dNSName : name->d.uniformResourceIdentifier;
    names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                       static_cast<size_t>(ASN1_STRING_length(text)));
  }
  GENERAL_NAMES_free(found);
  return names;
}

bool HttpConnection::has_left() {
  char byte = 0;
  const auto got = ::recv(tcp().socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
}

}  // namespace cenote
