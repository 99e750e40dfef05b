//! What a lead does next: event in, effects out.
