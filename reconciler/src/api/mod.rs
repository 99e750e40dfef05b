//! The HTTP API of the leads, and its client.
