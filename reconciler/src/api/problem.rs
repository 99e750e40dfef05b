//! Errors as clients see them: a status and a [`Problem`].

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use qonnect_schema::api::Problem;
use serde::de::DeserializeOwned;

use crate::consensus;

#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    problem: Problem,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, reason: &str, message: impl Into<String>) -> Self {
        Self { status, problem: Problem { reason: reason.into(), message: message.into() } }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    pub(super) fn busy(message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Busy", message)
    }

    pub(super) fn not_ready(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "NotReady", message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.problem)).into_response()
    }
}

impl From<consensus::Error> for Refusal {
    fn from(error: consensus::Error) -> Self {
        let reason = match error {
            consensus::Error::Refused(why) => return Self::new(StatusCode::CONFLICT, "Refused", why),
            consensus::Error::NotLeader { .. } => "NotLeader",
            consensus::Error::Unknown => "Unknown",
            _ => "Stopped",
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason, error.to_string())
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadQuery", rejection.body_text())
    }
}

/// A JSON body; what does not fit its type is answered with the place.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
            let reason = match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => "TooLarge",
                _ => "BadBody",
            };
            Refusal::new(rejection.status(), reason, rejection.body_text())
        })?;
        let body = serde_json::from_slice(&bytes);
        body.map(Self).map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "BadBody", error.to_string()))
    }
}
