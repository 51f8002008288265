//! One careful way to HTTP receivers.
