//! In place of `otlp.rs` in a program that was built without it.

use std::convert::Infallible;

use tracing_subscriber::layer::Identity;

pub(super) struct Traces(Infallible);

impl Traces {
    pub(super) fn open(_variable: &str, _lead: &str) -> anyhow::Result<Option<Self>> {
        Ok(None)
    }

    pub(super) fn layer(&self) -> Identity {
        match self.0 {}
    }

    pub(super) fn close(self) {
        match self.0 {}
    }
}
