//! Tests: planning.
