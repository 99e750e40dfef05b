//! How a remote is spoken to: one exchange over HTTP, or a session over ssh or a socket.

mod http;
mod session;
mod socket;
mod ssh;

use std::collections::BTreeMap;
use std::io::{BufReader, Read};

use git2::Oid;

use crate::deadline::Deadline;
use crate::error::{Error, plain};
use crate::packet::{self, Packet};
use crate::remote::{Place, Remote};

/// The two programs of git that a remote runs for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    UploadPack,
    ReceivePack,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

pub(crate) type Reply = Box<dyn Read + Send>;

pub(crate) enum Link {
    Http(Box<http::Http>),
    Session(session::Sessions),
}

impl Link {
    /// A link to a remote, or the path of a repository on this disk, which needs none.
    pub(crate) fn new(remote: Remote) -> Result<Result<Self, std::path::PathBuf>, Error> {
        let Remote { url, credentials, authority } = remote;
        Ok(Ok(match Place::parse(&url)? {
            Place::Local(path) => return Ok(Err(path)),
            Place::Http(url) => Self::Http(Box::new(http::Http::new(url, credentials, authority)?)),
            Place::Ssh(place) => Self::Session(session::Sessions::new(ssh::Ssh::new(place, credentials)?)),
            Place::Git { host, port, path } => {
                Self::Session(session::Sessions::new(socket::Socket { host, port, path }))
            }
        }))
    }

    /// Asks for the references of the remote.
    pub(crate) fn ask(&mut self, service: Service, deadline: &Deadline) -> Result<References, Error> {
        match self {
            Self::Http(http) => http.ask(service, deadline),
            Self::Session(sessions) => sessions.ask(service, deadline),
        }
    }

    /// Does what comes before a request; when it fails, the remote has not acted.
    pub(crate) fn prepare(&mut self, service: Service, deadline: &Deadline) -> Result<(), Error> {
        match self {
            Self::Http(_) => Ok(()),
            Self::Session(sessions) => sessions.prepare(service, deadline),
        }
    }

    /// Sends a request and returns the reply that begins to arrive.
    pub(crate) fn call(
        &mut self,
        service: Service,
        request: Vec<u8>,
        deadline: &Deadline,
    ) -> Result<Reply, Error> {
        let reply = match self {
            Self::Http(http) => http.call(service, request, deadline)?,
            Self::Session(sessions) => sessions.call(service, &request, deadline)?,
        };
        Ok(Box::new(BufReader::with_capacity(64 * 1024, reply)))
    }

    /// Ends a session that was asked for references only.
    pub(crate) fn hang_up(&mut self) {
        if let Self::Session(sessions) = self {
            sessions.hang_up();
        }
    }
}

/// What a remote says to have.
#[derive(Debug, Default)]
pub(crate) struct References {
    tips: BTreeMap<String, Oid>,
}

impl References {
    /// A million branches are no fleet.
    const COUNT_MAX: usize = 1_000_000;

    pub(crate) fn tip(&self, reference: &str) -> Option<Oid> {
        self.tips.get(reference).copied()
    }

    /// Reads an advertisement up to its end; over HTTP it begins with a heading of its own.
    fn read(from: &mut dyn Read, heading: bool, deadline: &Deadline) -> Result<Self, Error> {
        let mut next = || packet::read(from).map_err(|error| deadline.explain(&error));
        if heading {
            // Without this look, any page of zeros would pass for a repository without branches.
            match next()? {
                Packet::Line(line) if line.starts_with(b"# service=") => {}
                _ => return Err(Error::Protocol { detail: "an advertisement without its heading".into() }),
            }
            while next()? != Packet::Flush {}
        }
        let mut tips = BTreeMap::new();
        while let Packet::Line(line) = next()? {
            if let Some((name, tip)) = reference(&line)? {
                tips.insert(name, tip);
            }
            if tips.len() > Self::COUNT_MAX {
                return Err(Error::Limit {
                    what: "the number of references".into(),
                    limit: Self::COUNT_MAX as u64,
                });
            }
        }
        Ok(Self { tips })
    }
}

/// `<id> <name>`, on the first line followed by what the server is capable of.
fn reference(line: &[u8]) -> Result<Option<(String, Oid)>, Error> {
    if let Some(complaint) = line.strip_prefix(b"ERR ") {
        return Err(recognise(plain(complaint)));
    }
    let text = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let text = text.trim_end();
    if text.starts_with("version ") || text.starts_with("shallow ") {
        return Ok(None);
    }
    let bad = || Error::Protocol { detail: plain(line) };
    let (id, name) = text.split_once(' ').ok_or_else(bad)?;
    let id = Oid::from_str(id).map_err(|_| bad())?;
    Ok((!id.is_zero()).then(|| (name.to_owned(), id)))
}

/// The error behind what ssh or a server complained of before it did anything.
fn recognise(detail: String) -> Error {
    let lower = detail.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(&["permission denied", "host key", "host identification", "access denied by"]) {
        Error::Auth { detail }
    } else if says(&["not found", "not appear to be", "does not exist", "not exported", "no such file"]) {
        Error::NotFound { detail }
    } else if says(&["connection refused", "could not resolve", "no route", "timed out"]) {
        Error::Unreachable { detail }
    } else {
        Error::Remote { detail }
    }
}
