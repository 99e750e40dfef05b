//! A client of the leads, for the command line, the demo and tests.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use qonnect_schema::api::{
    ApplicationView, ClusterView, Decision, Event, LeadAddress, LeadView, List, NodeView, PlacementView,
    Problem, Recovered, Recovery, RevisionRecord, StateHash,
};
use qonnect_schema::documents::snapshot::Brake;
use qonnect_schema::{Placement, Snapshot};
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A lead that is taken in catches up first.
const GROUP_TIMEOUT: Duration = Duration::from_secs(90);

/// A longer line of a watch is not ours.
const LINE_BYTES_MAX: usize = 256 << 20;

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Tried in turn, beginning with the one that answered last.
    pub leads: Vec<String>,
    pub token_file: Option<PathBuf>,
    /// Whose certificates leads show, beside the authorities of the system.
    pub authority: Option<PathBuf>,
    /// PEM files with the certificate that names us, and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is no certificate in PEM", .path.display())]
    Authority { path: PathBuf, source: reqwest::Error },
    #[error("{} and its key are of no use in PEM", .path.display())]
    Certificate { path: PathBuf, source: reqwest::Error },
    #[error("cannot set up HTTP")]
    Http(#[source] reqwest::Error),
    #[error(
        "no lead answers at {leads} ({why}); start one with `qonnect lead --config FILE`, or say where it is \
         with --lead URL or QONNECT_LEAD"
    )]
    Nobody { leads: String, why: String },
    #[error("{message}")]
    Refused { reason: String, message: String, status: u16 },
    #[error("the answer of {lead} makes no sense: {why}; do both run the same version?")]
    Nonsense { lead: String, why: String },
    #[error("the connection to {lead} broke: {why}")]
    Broken { lead: String, why: String },
}

/// What lists are made of, and where they are.
pub trait Listed: DeserializeOwned + Send + 'static {
    const PATH: &'static str;
}

macro_rules! listed {
    ($($item:ty => $path:literal),* $(,)?) => {$(
        impl Listed for $item {
            const PATH: &'static str = concat!("/v1alpha1/", $path);
        }
    )*};
}

listed! {
    ClusterView => "clusters",
    NodeView => "nodes",
    ApplicationView => "applications",
    PlacementView => "placements",
    RevisionRecord => "revisions",
    Decision => "decisions",
    StateHash => "hashes",
    Brake => "brakes",
    Event => "events",
    LeadView => "leads",
}

/// Clones share the connections, and the lead that answers.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    leads: Arc<[String]>,
    token: Option<Arc<str>>,
    current: Arc<AtomicUsize>,
}

impl Client {
    pub fn new(options: &Options) -> Result<Self, Error> {
        let read =
            |path: &PathBuf| std::fs::read(path).map_err(|source| Error::Read { path: path.clone(), source });
        let mut http =
            reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true).no_proxy();
        if let Some(path) = &options.authority {
            let certificates = reqwest::Certificate::from_pem_bundle(&read(path)?);
            let certificates =
                certificates.map_err(|source| Error::Authority { path: path.clone(), source })?;
            for certificate in certificates {
                http = http.add_root_certificate(certificate);
            }
        }
        if let Some((certificate, key)) = &options.certificate {
            let both = [read(certificate)?, b"\n".to_vec(), read(key)?].concat();
            let identity = reqwest::Identity::from_pem(&both);
            let wrong = |source| Error::Certificate { path: certificate.clone(), source };
            http = http.identity(identity.map_err(wrong)?);
        }
        let token = options.token_file.as_ref().map(read).transpose()?;
        let token = token.map(|bytes| String::from_utf8_lossy(&bytes).trim().into());
        let leads = options.leads.iter().map(|lead| lead.trim_end_matches('/').to_owned());
        Ok(Self {
            http: http.build().map_err(Error::Http)?,
            leads: leads.collect(),
            token,
            current: Arc::default(),
        })
    }

    pub async fn list<T: Listed>(&self) -> Result<List<T>, Error> {
        self.get(T::PATH).await
    }

    /// Nothing is missing that any lead acknowledged before.
    pub async fn list_linearizable<T: Listed>(&self) -> Result<List<T>, Error> {
        self.get(&format!("{}?consistency=linearizable", T::PATH)).await
    }

    /// The list now, and again after each change; ends with an error when the connection breaks.
    pub async fn watch<T: Listed>(
        &self,
    ) -> Result<impl Stream<Item = Result<List<T>, Error>> + Unpin, Error> {
        let (lead, response) =
            self.send(Method::GET, &format!("{}?watch=true", T::PATH), None::<&()>, None).await?;
        let bytes =
            response.bytes_stream().map_ok(|bytes| bytes.to_vec()).map_err(|error| root(&error)).boxed();
        Ok(Box::pin(lines(bytes).map(move |line| {
            match line {
                Ok(line) => serde_json::from_slice(&line)
                    .map_err(|why| Error::Nonsense { lead: lead.clone(), why: why.to_string() }),
                Err(why) => Err(Error::Broken { lead: lead.clone(), why }),
            }
        })))
    }

    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        self.get("/v1alpha1/snapshot").await
    }

    pub async fn explain(&self, application: &str) -> Result<Placement, Error> {
        self.get(&format!("/v1alpha1/explain/{application}")).await
    }

    /// Says that the spec branch has moved.
    pub async fn hook(&self) -> Result<(), Error> {
        self.send(Method::POST, "/hooks/git", None::<&()>, Some(ANSWER_TIMEOUT)).await.map(drop)
    }

    /// Takes a lead into the group; returns once it votes.
    pub async fn add_lead(&self, name: &str, address: &LeadAddress) -> Result<(), Error> {
        let path = format!("/v1alpha1/leads/{name}");
        self.send(Method::PUT, &path, Some(address), Some(GROUP_TIMEOUT)).await.map(drop)
    }

    /// Takes a lead out of the group.
    pub async fn remove_lead(&self, name: &str) -> Result<(), Error> {
        let path = format!("/v1alpha1/leads/{name}");
        self.send(Method::DELETE, &path, None::<&()>, Some(GROUP_TIMEOUT)).await.map(drop)
    }

    /// Hands the deploy branch to this group of leads.
    pub async fn recover(&self, recovery: &Recovery) -> Result<Recovered, Error> {
        self.call(Method::POST, "/v1alpha1/recovery", recovery).await
    }

    /// The clusters that hold the brake are gone indeed.
    pub async fn release_brake(&self) -> Result<(), Error> {
        self.send(Method::DELETE, "/v1alpha1/brake", None::<&()>, Some(ANSWER_TIMEOUT)).await.map(drop)
    }

    /// Its agent fetches, and tries at once what waits for its next attempt.
    pub async fn reconcile(&self, cluster: &str) -> Result<(), Error> {
        let path = format!("/v1alpha1/clusters/{cluster}/reconcile");
        self.send(Method::POST, &path, None::<&()>, Some(ANSWER_TIMEOUT)).await.map(drop)
    }

    /// Returns once that lead leads.
    pub async fn transfer(&self, name: &str) -> Result<(), Error> {
        let path = format!("/v1alpha1/leads/{name}/leadership");
        self.send(Method::POST, &path, None::<&()>, Some(GROUP_TIMEOUT)).await.map(drop)
    }

    /// Whether a lead leads and has read the spec branch.
    pub async fn ready(&self) -> bool {
        self.send(Method::GET, "/readyz", None::<&()>, Some(ANSWER_TIMEOUT)).await.is_ok()
    }

    /// Any call with a JSON body and a JSON answer.
    pub async fn call<B: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &B,
    ) -> Result<A, Error> {
        let (lead, response) = self.send(method, path, Some(body), Some(ANSWER_TIMEOUT)).await?;
        response.json().await.map_err(|error| Error::Nonsense { lead, why: root(&error) })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let (lead, response) = self.send(Method::GET, path, None::<&()>, Some(ANSWER_TIMEOUT)).await?;
        response.json().await.map_err(|error| Error::Nonsense { lead, why: root(&error) })
    }

    /// Asks one lead after the other until one answers for itself; gives its URL too.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        timeout: Option<Duration>,
    ) -> Result<(String, Response), Error> {
        let first = self.current.load(Ordering::Relaxed);
        let mut last = Error::Nobody { leads: self.leads.join(", "), why: "none is named".into() };
        for turn in 0..self.leads.len() {
            let number = (first + turn) % self.leads.len();
            let lead = &self.leads[number];
            let mut request = self.http.request(method.clone(), format!("{lead}{path}"));
            request = self.token.iter().fold(request, RequestBuilder::bearer_auth);
            request = body.into_iter().fold(request, RequestBuilder::json);
            request = timeout.into_iter().fold(request, RequestBuilder::timeout);
            match request.send().await {
                Ok(response) if response.status().is_success() => {
                    self.current.store(number, Ordering::Relaxed);
                    return Ok((lead.clone(), response));
                }
                Ok(response) => {
                    last = refused(lead, response).await;
                    if !last.another_may_answer() {
                        return Err(last);
                    }
                }
                Err(error) => {
                    last = Error::Nobody { leads: self.leads.join(", "), why: root(&error) };
                }
            }
        }
        Err(last)
    }
}

impl Error {
    fn another_may_answer(&self) -> bool {
        matches!(self, Self::Refused { status: 500.., .. } | Self::Nobody { .. })
    }
}

async fn refused(lead: &str, response: Response) -> Error {
    let status = response.status();
    match response.json::<Problem>().await {
        Ok(Problem { reason, message }) => Error::Refused { reason, message, status: status.as_u16() },
        Err(_) => Error::Nonsense { lead: lead.into(), why: format!("it answered {status}") },
    }
}

/// Cuts a stream of bytes at its line ends.
fn lines(bytes: BoxStream<'static, Result<Vec<u8>, String>>) -> impl Stream<Item = Result<Vec<u8>, String>> {
    stream::try_unfold((bytes, Vec::new()), async |(mut bytes, mut held): (_, Vec<u8>)| {
        let mut searched = 0;
        loop {
            if let Some(end) = held[searched..].iter().position(|byte| *byte == b'\n') {
                let rest = held.split_off(searched + end + 1);
                return Ok(Some((held, (bytes, rest))));
            }
            searched = held.len();
            if held.len() > LINE_BYTES_MAX {
                return Err("a line has no end".into());
            }
            let more: Option<Result<Vec<u8>, String>> = StreamExt::next(&mut bytes).await;
            match more {
                Some(more) => held.extend(more?),
                None => return Err("the lead has ended it".into()),
            }
        }
    })
}

/// The innermost cause: the outer ones only say that a request failed.
fn root(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_is_cut_at_line_ends_wherever_the_packets_end() {
        let packets = ["a", "b\ncd", "\n\ne"].map(|packet| Ok(packet.as_bytes().to_vec()));
        let all: Vec<_> = lines(stream::iter(packets).boxed()).collect().await;
        let lines: Vec<_> = all.iter().filter_map(|line| line.as_deref().ok()).collect();
        assert_eq!(lines, [b"ab\n".as_slice(), b"cd\n", b"\n"]);
        assert!(all[3].is_err());
    }

    #[tokio::test]
    async fn without_a_lead_the_error_says_how_to_get_one() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let options = Options { leads: vec![format!("http://{closed}/")], ..Default::default() };
        let error = Client::new(&options).unwrap().list::<ClusterView>().await.unwrap_err().to_string();
        assert!(error.contains("no lead answers at http://127.0.0.1"), "{error}");
        assert!(error.contains("QONNECT_LEAD"), "{error}");
    }
}
