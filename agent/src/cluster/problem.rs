//! What the API server's errors mean for an object.

use kube::Error;
use kube::core::Status;
use qonnect_agent_core::conflict::{self, Conflict};
use qonnect_agent_core::immutable;
use qonnect_agent_core::state::Problem;

/// The reason of a refusal because of a field that cannot change.
pub(super) const IMMUTABLE: &str = "Immutable";

pub(super) fn transient(reason: &str, message: impl Into<String>) -> Problem {
    Problem { reason: reason.into(), message: message.into(), transient: true }
}

pub(super) fn lasting(reason: &str, message: impl Into<String>) -> Problem {
    Problem { reason: reason.into(), message: message.into(), transient: false }
}

pub(super) fn problem(error: &Error) -> Problem {
    let Error::Api(status) = error else { return transient("Unreachable", message(error)) };
    let text = status.message.as_str();
    match status.code {
        409 => match conflicts(status) {
            found if found.is_empty() => transient("Conflict", text),
            found => lasting("Conflict", conflict::explain(&found)),
        },
        // The namespace controller refuses whatever comes into a namespace that is going.
        403 if text.contains("being terminated") => transient("NamespaceTerminating", text),
        403 => lasting("Forbidden", format!("{text}; grant it to the agent, or change what refuses it")),
        404 => lasting("NotFound", text),
        422 if immutable::explains(text) => lasting(IMMUTABLE, immutable::explain(text)),
        408 | 429 | 500.. => transient("Unavailable", text),
        _ if status.reason.is_empty() => lasting("Refused", text),
        _ => lasting(&status.reason, text),
    }
}

/// The fields of others that a server-side apply would have changed.
pub(super) fn conflicts(status: &Status) -> Vec<Conflict> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    conflict::conflicts(
        causes.map(|cause| (cause.reason.as_str(), cause.message.as_str(), cause.field.as_str())),
    )
}

/// An error with its sources, the outermost first.
pub(super) fn message(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text
}
