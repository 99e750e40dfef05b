//! Smart HTTP through reqwest and rustls, with tokens that stay with their host.

use std::cell::RefCell;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, Url};

use super::{References, Reply, Service};
use crate::deadline::Deadline;
use crate::error::{Error, plain};
use crate::remote::Credentials;

/// A host that does not take a connection within this time is taken to be away.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// More are a loop.
const REDIRECTS_MAX: usize = 5;

pub(crate) struct Http {
    configured: Url,
    /// Where the repository is after redirects, once they were followed.
    base: Url,
    credentials: Credentials,
    authority: Option<PathBuf>,
    /// With the bytes of the authority that it trusts.
    client: RefCell<Option<(Vec<u8>, Client)>>,
}

impl Http {
    pub(super) fn new(
        mut url: Url,
        credentials: Credentials,
        authority: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        if !credentials.is_none() && !keeps_secrets(&url) {
            let why = "a token would cross the network in clear; use https".to_owned();
            return Err(Error::Url { url: url.to_string(), why });
        }
        Ok(Self { base: url.clone(), configured: url, credentials, authority, client: RefCell::default() })
    }

    pub(super) fn ask(&mut self, service: Service, deadline: &Deadline) -> Result<References, Error> {
        let mut at = below(&self.configured, "info/refs");
        at.set_query(Some(&format!("service={}", service.name())));
        for _ in 0..=REDIRECTS_MAX {
            let response = self.send(self.client()?.get(at.clone()), &at, deadline)?;
            if !response.status().is_redirection() {
                self.base = base_of(&at)?;
                let mut advertised = Body::new(accept(response, service, "advertisement")?, deadline);
                return References::read(&mut advertised, true, deadline);
            }
            at = redirected(&at, &response)?;
        }
        Err(Error::Protocol { detail: format!("more than {REDIRECTS_MAX} redirects") })
    }

    pub(super) fn call(
        &mut self,
        service: Service,
        request: Vec<u8>,
        deadline: &Deadline,
    ) -> Result<Reply, Error> {
        let mut response = self.post(service, request.clone(), deadline)?;
        if response.status().is_redirection() {
            // It was not acted upon; asking for references finds out where the repository went.
            self.ask(service, deadline)?;
            response = self.post(service, request, deadline)?;
        }
        Ok(Box::new(Body::new(accept(response, service, "result")?, deadline)))
    }

    fn post(&self, service: Service, request: Vec<u8>, deadline: &Deadline) -> Result<Response, Error> {
        let at = below(&self.base, service.name());
        let request = self
            .client()?
            .post(at.clone())
            .header(CONTENT_TYPE, format!("application/x-{}-request", service.name()))
            .header(ACCEPT, format!("application/x-{}-result", service.name()))
            .body(request);
        self.send(request, &at, deadline)
    }

    fn send(&self, request: RequestBuilder, at: &Url, deadline: &Deadline) -> Result<Response, Error> {
        let request = match self.credentials.basic(deadline)? {
            Some((user, secret)) if at.origin() == self.configured.origin() => {
                request.basic_auth(user, Some(secret))
            }
            _ => request,
        };
        deadline.wait(request.send())?.map_err(explain)
    }

    /// Made at the first use, for it reads the certificates that this machine trusts, and again when the authority is
    /// another one.
    fn client(&self) -> Result<Client, Error> {
        let read =
            |path: &PathBuf| std::fs::read(path).map_err(|source| Error::File { path: path.clone(), source });
        let pem = self.authority.as_ref().map(read).transpose()?.unwrap_or_default();
        if let Some((known, client)) = &*self.client.borrow()
            && *known == pem
        {
            return Ok(client.clone());
        }
        let mut client = Client::builder()
            // Some hosts serve git only to what calls itself git.
            .user_agent(concat!("git/2 (qonnect ", env!("CARGO_PKG_VERSION"), ")"))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_MAX);
        if is_loopback(&self.configured) {
            client = client.no_proxy();
        }
        if let Some(path) = &self.authority {
            let unusable = |why: String| Error::File { path: path.clone(), source: io::Error::other(why) };
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(chain(&error)))?;
            if certificates.is_empty() {
                return Err(unusable("it holds no certificate in PEM".into()));
            }
            client = client.tls_certs_merge(certificates);
        }
        let client = client.build().map_err(|error| Error::Unreachable { detail: chain(&error) })?;
        *self.client.borrow_mut() = Some((pem, client.clone()));
        Ok(client)
    }
}

/// What a host answers, as it arrives.
struct Body {
    response: Response,
    /// Has arrived, and was not asked for yet.
    arrived: Bytes,
    deadline: Deadline,
}

impl Body {
    fn new(response: Response, deadline: &Deadline) -> Self {
        Self { response, arrived: Bytes::new(), deadline: deadline.clone() }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.arrived.is_empty() {
            let chunk = async { self.response.chunk().await.map_err(|error| broken(&error.without_url())) };
            match self.deadline.wait_io(chunk)? {
                Some(chunk) => self.arrived = chunk,
                None => return Ok(0),
            }
        }
        let length = self.arrived.len().min(buffer.len());
        self.arrived.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

fn broken(error: &reqwest::Error) -> io::Error {
    io::Error::other(chain(error))
}

/// Whether nobody between us and the host can read along.
fn keeps_secrets(url: &Url) -> bool {
    url.scheme() == "https" || is_loopback(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn below(base: &Url, name: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{name}", base.path()));
    url
}

fn base_of(at: &Url) -> Result<Url, Error> {
    let path = at.path().strip_suffix("/info/refs").ok_or_else(|| Error::Protocol {
        detail: format!("a redirect to {}, which is not where references are", shown(at)),
    })?;
    let mut base = at.clone();
    base.set_path(path);
    base.set_query(None);
    Ok(base)
}

fn redirected(from: &Url, response: &Response) -> Result<Url, Error> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let to = location
        .and_then(|location| from.join(location).ok())
        .ok_or_else(|| Error::Protocol { detail: "a redirect to nowhere".into() })?;
    if !matches!(to.scheme(), "http" | "https") || (from.scheme() == "https" && to.scheme() != "https") {
        return Err(Error::Protocol { detail: format!("a redirect to {}, which is less safe", shown(&to)) });
    }
    Ok(to)
}

/// A URL without what a host may have hidden in it.
fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// The response, if it is git's answer.
fn accept(response: Response, service: Service, what: &str) -> Result<Response, Error> {
    let status = response.status();
    let detail = format!("{} answered {status}", shown(response.url()));
    if !status.is_success() {
        return Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Auth { detail },
            StatusCode::NOT_FOUND | StatusCode::GONE => Error::NotFound { detail },
            StatusCode::TOO_MANY_REQUESTS => Error::Unreachable { detail },
            status if status.is_server_error() => Error::Broken { detail },
            _ => Error::Remote { detail },
        });
    }
    let expected = format!("application/x-{}-{what}", service.name());
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if kind != expected.as_bytes() {
        let detail = format!("{} sent `{}`", shown(response.url()), plain(kind));
        return Err(Error::Protocol { detail });
    }
    Ok(response)
}

fn explain(error: reqwest::Error) -> Error {
    let error = error.without_url();
    let detail = chain(&error);
    if error.is_connect() { Error::Unreachable { detail } } else { Error::Broken { detail } }
}

/// The message with those of its causes: reqwest's own says only that something failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
