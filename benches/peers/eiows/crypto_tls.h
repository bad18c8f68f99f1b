// What eiows needs of Node's src/crypto/crypto_tls.h, for a server without TLS.
//
// eiows takes this header from Node's source tree, which it clones from GitHub, for one thing: the OpenSSL connection below
// a TLS socket. The benchmarks speak plain TCP, where it is never asked for. Here no socket has one, so that the headers
// that come with Node are enough to build it.
#pragma once

#include <openssl/ssl.h>

namespace node {

class BaseObject {};

namespace crypto {

class TLSWrap {
 public:
  struct SSLPointer {
    SSL* get() const { return nullptr; }
  };

  const SSLPointer* getSSL() const { return nullptr; }
};

}  // namespace crypto
}  // namespace node

// In Node: leaves the function if `object` wraps nothing.
#define ASSIGN_OR_RETURN_UNWRAP(pointer, object) \
  do {                                           \
    (void)(object);                              \
    return;                                      \
  } while (false)
