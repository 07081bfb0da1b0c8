// Package clientcert knows people by the certificate that their TLS connection has shown.
//
//	listener: client_ca_file ── verified chain ── CN or SAN ── core.Principal
//
// Only a certificate that the listener has verified counts. Credentials that a client gives beside it come first, and are
// looked at by others; a user name alone must be that of the certificate. The session ends with the certificate.
//
// Which certificates are accepted at all is the listener's business: tls.client_ca_file and tls.client_auth.
package clientcert
