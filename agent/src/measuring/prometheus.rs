//! What nodes draw, asked from Prometheus.

use std::collections::BTreeMap;
use std::path::PathBuf;

use qonnect_agent_core::measured;
use reqwest::{Certificate, Client};
use serde::Deserialize;
use url::Url;

use super::ANSWER_TIMEOUT;
use crate::uplink::{self, text};

/// Some 200 bytes a node: enough for the 5,000 of the largest cluster.
const ANSWER_MAX: usize = 1 << 20;

/// Where power is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Power {
    /// Of Prometheus, without `/api`.
    pub url: Url,
    /// Gives one series a node, in watts, with one label that names it.
    pub query: String,
    /// Holds the token; read anew for each question.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// PEM: who signs the certificate of Prometheus, where the system does not know.
    #[serde(default)]
    pub authority: Option<PathBuf>,
}

pub(super) struct Prometheus {
    client: Client,
    power: Power,
}

impl Prometheus {
    pub(super) fn new(power: &Power) -> Result<Self, uplink::Error> {
        // A redirect could lead the token elsewhere.
        let mut client = Client::builder()
            .connect_timeout(ANSWER_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .http1_only();
        if let Some(path) = &power.authority {
            let unusable = |why: String| uplink::Error::File { path: path.clone(), why };
            let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
            let read = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))?;
            client = client.tls_certs_only(read);
        }
        let client = client.build().map_err(|error| uplink::Error::Unreachable(text(&error)))?;
        Ok(Self { client, power: power.clone() })
    }

    /// By node.
    pub(super) async fn watts(&self) -> Result<BTreeMap<String, f64>, String> {
        let Power { url, query, token_file, .. } = &self.power;
        let base = url.as_str().trim_end_matches('/');
        let mut place = Url::parse(&format!("{base}/api/v1/query")).map_err(|error| error.to_string())?;
        place.query_pairs_mut().append_pair("query", query);
        let mut request = self.client.get(place);
        if let Some(path) = token_file {
            let token =
                std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            request = request.bearer_auth(token.trim());
        }
        let mut response = request.send().await.map_err(|error| text(&error))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| text(&error))? {
            if bytes.len() + piece.len() > ANSWER_MAX {
                return Err(format!("the answer of {} is larger than {ANSWER_MAX} bytes", url.authority()));
            }
            bytes.extend_from_slice(&piece);
        }
        let answer = serde_json::from_slice(&bytes);
        let answer = answer.map_err(|_| format!("{} answers {status}, and no JSON", url.authority()))?;
        measured::watts(&answer)
    }
}
