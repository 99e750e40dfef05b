//! The story that `qonnect demo` tells.
