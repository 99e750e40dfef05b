//! What the API server's errors mean for an object.

use kube::Error;
use kube::core::Status;
use qonnect_agent_core::conflict::{self, Conflict};
use qonnect_agent_core::immutable;
use qonnect_agent_core::state::Problem;

/// The reason of a refusal because of a field that cannot change.
pub(super) const IMMUTABLE: &str = "Immutable";

/// The reason where the object, its namespace or its kind is not there.
pub(super) const NOT_FOUND: &str = "NotFound";

pub(super) fn transient(reason: &str, message: impl Into<String>) -> Problem {
    Problem { reason: reason.into(), message: message.into(), transient: true }
}

pub(super) fn lasting(reason: &str, message: impl Into<String>) -> Problem {
    Problem { reason: reason.into(), message: message.into(), transient: false }
}

pub(super) fn problem(error: &Error) -> Problem {
    let status = match error {
        Error::Api(status) => status,
        // It never left: asking again would build the same.
        Error::BuildRequest(_) => return lasting("Invalid", message(error)),
        _ => return transient("Unreachable", message(error)),
    };
    let text = status.message.as_str();
    match status.code {
        409 => match conflicts(status) {
            found if found.is_empty() => transient("Conflict", text),
            found => lasting("Conflict", conflict::explain(&found)),
        },
        // The namespace controller refuses whatever comes into a namespace that is going.
        403 if text.contains("being terminated") => transient("NamespaceTerminating", text),
        403 => lasting(
            "Forbidden",
            format!("{text}; grant it to that account by RBAC, or change what refuses it"),
        ),
        404 => lasting(NOT_FOUND, text),
        422 if immutable::explains(text) => lasting(IMMUTABLE, immutable::explain(text)),
        // The API server calls it its own fault, but it is the manifest that its schema does not fit.
        500 if text.contains("failed to create typed patch object") => lasting("Invalid", text),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: u16, reason: &str, message: &str) -> Error {
        Error::Api(Box::new(Status::failure(message, reason).with_code(code)))
    }

    #[test]
    fn what_passes_by_itself_is_told_from_what_somebody_has_to_mend() {
        for (code, reason, message, word, transient) in [
            (429, "TooManyRequests", "slow down", "Unavailable", true),
            (500, "InternalError", "etcdserver: request timed out", "Unavailable", true),
            (500, "", "failed to create typed patch object: .data.key: expected string", "Invalid", false),
            (503, "ServiceUnavailable", "apiserver is shutting down", "Unavailable", true),
            (504, "Timeout", "Timeout: request did not complete", "Unavailable", true),
            (408, "", "", "Unavailable", true),
            (409, "Conflict", "the object has been modified", "Conflict", true),
            (403, "Forbidden", "namespace a is being terminated", "NamespaceTerminating", true),
            (403, "Forbidden", "exceeded quota: pods", "Forbidden", false),
            (404, "NotFound", "namespaces \"a\" not found", "NotFound", false),
            (422, "Invalid", "spec.selector: field is immutable", IMMUTABLE, false),
            (422, "Invalid", "spec.replicas: must be positive", "Invalid", false),
            (400, "", "bad", "Refused", false),
        ] {
            let found = problem(&refusal(code, reason, message));
            assert_eq!((found.reason.as_str(), found.transient), (word, transient), "{code} {message}");
        }
    }
}
