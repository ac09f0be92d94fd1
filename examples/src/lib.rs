//! What the example programs share: sockets, TLS, captures, reports.
