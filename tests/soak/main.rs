//! What takes long by its nature: no part of `make test`.

mod busy;
mod nine;
