// Which TLS the gateway speaks to clients, on mail ports and console alike: 1.2 and 1.3, authenticated encryption and forward secrecy only.

/** TLS 1.3 has no others; of TLS 1.2 these alone are sound. (RFC 9325 §4.2) */
export const TLS_SUITES = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");
