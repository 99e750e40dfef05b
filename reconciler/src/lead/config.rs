//! The configuration of a lead: a YAML file, which flags and the environment override.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use qonnect_git::signature::Signers;
use qonnect_git::{Credentials, Lent, Remote};
use qonnect_schema::units::Span;
use qonnect_schema::yaml;
use serde::{Deserialize, Serialize};

use crate::api::{self, Github, Tls};
use crate::consensus::{Group, Peer, PeerTls, Timers};
use crate::forge;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    #[serde(default = "name")]
    pub name: String,
    /// The number of this lead among the leads; it never changes. `peers` says it too.
    #[serde(default = "node")]
    pub node: u64,
    /// A folder that only this lead uses.
    pub data: PathBuf,
    #[serde(default = "listen")]
    pub listen: SocketAddr,
    pub repository: Repository,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Lines `IDENTITY TOKEN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<PathBuf>,
    /// Every lead, this one too; absent: it is alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Peer>,
    /// Where to listen for them; absent: where `peers` says that this lead is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_listen: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_tls: Option<PeerTls>,
    #[serde(default)]
    pub timers: Timers,
    /// Where people see what they are asked; absent: in Git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forge: Option<forge::Config>,
}

/// What the file says itself, where `peers` may say it instead.
#[derive(Debug, Deserialize)]
struct Given {
    node: Option<u64>,
    listen: Option<SocketAddr>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Repository {
    pub url: String,
    /// The spec branch; `fleet.yaml` names the deploy branch.
    #[serde(default = "branch")]
    pub branch: String,
    /// How often a remote is asked whether it has changed, unless somebody says so.
    #[serde(default = "poll")]
    pub poll: Span,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_key: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<PathBuf>,
    /// For https: who vouches for the host, as PEM, besides those that this machine trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<PathBuf>,
    /// Whose commits of the spec branch count; absent: those of everybody who may push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signers: Option<Signers>,
    /// An Ed25519 key, as ssh-keygen writes them, that signs every commit of this lead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<PathBuf>,
    /// What a webhook of GitHub signs its deliveries to `/hooks/github` with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret_file: Option<PathBuf>,
}

/// What the command line and the environment say instead.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub name: Option<String>,
    pub data: Option<PathBuf>,
    pub listen: Option<SocketAddr>,
    pub repository: Option<String>,
    pub branch: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", .path.display())]
    Parse { path: PathBuf, source: yaml::Error },
    #[error("no {what} is given: {way_out}")]
    Missing { what: &'static str, way_out: &'static str },
    #[error("`sshKey` and `knownHosts` belong together: the second says which hosts may be spoken to")]
    HalfOfSsh,
    #[error("`tokenFile` and `sshKey` exclude each other: remove the one that does not fit the url")]
    TwoCredentials,
    #[error("`poll` is 0: give an interval such as 30s")]
    NoPoll,
    #[error("`peers` does not name `{0}`: add this lead, or say which it is with --name NAME")]
    NotAPeer(String),
    #[error("`peers` says that `{name}` is node {peer}, `node` says {node}: remove `node`")]
    TwoNodes { name: String, node: u64, peer: u64 },
    #[error(transparent)]
    Forge(#[from] forge::ConfigError),
    #[error("`{0}` is no address: expected HOST:PORT, and http(s)://HOST:PORT for `api`")]
    Address(String),
}

impl Config {
    /// Reads a file, if there is one, and lets the overrides win. `${name}` in a path is the name of this lead, so
    /// that all of a group can have the same file.
    pub fn read(path: Option<&Path>, overrides: Overrides) -> Result<Self, Error> {
        let (mut config, given) = match path {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| Error::Read { path: path.to_owned(), source })?;
                let failed = |source| Error::Parse { path: path.to_owned(), source };
                let config = yaml::from_str::<Self>(&text).map_err(failed)?;
                (config, yaml::from_str(&text).map_err(failed)?)
            }
            None => (Self::without_file(&overrides)?, Given { node: None, listen: None }),
        };
        let Overrides { name, data, listen, repository, branch } = overrides;
        config.name = name.unwrap_or(config.name);
        config.data = data.unwrap_or(config.data);
        config.take_place(&given)?;
        config.listen = listen.unwrap_or(config.listen);
        config.repository.url = repository.unwrap_or(config.repository.url);
        config.repository.branch = branch.unwrap_or(config.repository.branch);
        config.name_paths();
        if let Some(forge) = &mut config.forge {
            forge.complete(&config.repository.url)?;
        }
        config.check()?;
        Ok(config)
    }

    /// What `peers` says about this lead.
    fn take_place(&mut self, given: &Given) -> Result<(), Error> {
        if self.peers.is_empty() {
            return Ok(());
        }
        let own = self.peers.iter().find(|peer| peer.name == self.name);
        let own = own.ok_or_else(|| Error::NotAPeer(self.name.clone()))?;
        if let Some(node) = given.node.filter(|node| *node != own.node) {
            return Err(Error::TwoNodes { name: self.name.clone(), node, peer: own.node });
        }
        self.node = own.node;
        self.peer_listen = Some(self.peer_listen.map_or_else(|| address(&own.peer), Ok)?);
        if given.listen.is_none() {
            let authority = own.api.split_once("://").map(|(_, rest)| rest.trim_end_matches('/'));
            self.listen = address(authority.ok_or_else(|| Error::Address(own.api.clone()))?)?;
        }
        Ok(())
    }

    fn name_paths(&mut self) {
        let tls = self.tls.iter_mut().flat_map(|tls| [&mut tls.certificate, &mut tls.key]);
        let peer_tls = self.peer_tls.iter_mut().flat_map(|tls| [&mut tls.certificate, &mut tls.key]);
        let signing_key = &mut self.repository.signing_key;
        for path in std::iter::once(&mut self.data).chain(tls).chain(peer_tls).chain(signing_key) {
            *path = path.to_string_lossy().replace("${name}", &self.name).into();
        }
    }

    /// The leads that it belongs to; `None` if it is alone.
    pub(super) fn group(&self) -> Option<Group> {
        let listen = self.peer_listen.filter(|_| !self.peers.is_empty())?;
        let (name, peers) = (self.name.clone(), self.peers.clone());
        Some(Group { name, listen, peers, tls: self.peer_tls.clone(), timers: self.timers })
    }

    /// A lead of one, on loopback.
    pub fn new(data: PathBuf, url: String) -> Self {
        let repository = Repository {
            url,
            branch: branch(),
            poll: poll(),
            token_file: None,
            ssh_key: None,
            known_hosts: None,
            authority: None,
            signers: None,
            signing_key: None,
            webhook_secret_file: None,
        };
        Self {
            name: name(),
            node: node(),
            data,
            listen: listen(),
            repository,
            tls: None,
            tokens: None,
            peers: Vec::new(),
            peer_listen: None,
            peer_tls: None,
            timers: Timers::default(),
            forge: None,
        }
    }

    fn without_file(overrides: &Overrides) -> Result<Self, Error> {
        let way_out = "give --config FILE, or --data and --repository";
        let data = overrides.data.clone().ok_or(Error::Missing { what: "data folder", way_out })?;
        let url = overrides.repository.clone().ok_or(Error::Missing { what: "repository", way_out })?;
        Ok(Self::new(data, url))
    }

    fn check(&self) -> Result<(), Error> {
        let Repository { token_file, ssh_key, known_hosts, poll, .. } = &self.repository;
        if ssh_key.is_some() != known_hosts.is_some() {
            return Err(Error::HalfOfSsh);
        }
        if token_file.is_some() && ssh_key.is_some() {
            return Err(Error::TwoCredentials);
        }
        if poll.0 == 0 {
            return Err(Error::NoPoll);
        }
        Ok(())
    }

    pub(super) fn api(&self) -> api::Config {
        let Repository { url, branch, webhook_secret_file, .. } = &self.repository;
        let github = webhook_secret_file.clone();
        let github = github.map(|secret| Github { secret, repository: url.clone(), branch: branch.clone() });
        api::Config { listen: self.listen, tls: self.tls.clone(), tokens: self.tokens.clone(), github }
    }

    /// The forge, if its tokens are the only thing that opens the repository.
    pub(super) fn lender(&self) -> Option<&forge::Config> {
        let Repository { url, token_file, ssh_key, .. } = &self.repository;
        let alone = token_file.is_none() && ssh_key.is_none();
        self.forge.as_ref().filter(|forge| alone && forge.opens(url))
    }

    /// `lent` is of the lender, if there is one.
    pub(super) fn remote(&self, lent: Option<Lent>) -> Remote {
        let Repository { url, token_file, ssh_key, known_hosts, authority, .. } = &self.repository;
        let credentials = match (token_file.clone(), ssh_key.clone().zip(known_hosts.clone())) {
            (Some(file), _) => Credentials::Token { file },
            (None, Some((key, known_hosts))) => Credentials::SshKey { key, known_hosts },
            (None, None) => lent.map_or(Credentials::None, Credentials::Lent),
        };
        Remote { url: url.clone(), credentials, authority: authority.clone() }
    }
}

/// Where to listen for those who call this address: a name may mean any interface.
fn address(called: &str) -> Result<SocketAddr, Error> {
    let wrong = || Error::Address(called.into());
    match called.rsplit_once(':') {
        Some(("localhost", port)) => Ok((Ipv4Addr::LOCALHOST, port.parse().map_err(|_| wrong())?).into()),
        Some((host, port)) if !host.is_empty() => match called.parse() {
            Ok(address) => Ok(address),
            Err(_) => Ok((Ipv4Addr::UNSPECIFIED, port.parse().map_err(|_| wrong())?).into()),
        },
        _ => Err(wrong()),
    }
}

fn name() -> String {
    "lead-1".into()
}

fn node() -> u64 {
    1
}

fn listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 7480).into()
}

fn branch() -> String {
    "main".into()
}

fn poll() -> Span {
    Span::from_secs(30)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, overrides: Overrides) -> Result<Config, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lead.yaml");
        std::fs::write(&path, text).unwrap();
        Config::read(Some(&path), overrides)
    }

    #[test]
    fn little_needs_to_be_said_and_overrides_win() {
        let text = "data: /var/lib/lead\nrepository: {url: https://example.org/fleet.git}\n";
        let overrides = Overrides { branch: Some("trunk".into()), ..Overrides::default() };
        let config = read(text, overrides).unwrap();
        let mut expected = Config::new("/var/lib/lead".into(), "https://example.org/fleet.git".into());
        expected.repository.branch = "trunk".into();
        assert_eq!(config, expected);
    }

    #[test]
    fn no_file_is_needed_where_flags_say_enough() {
        let overrides = Overrides {
            data: Some("d".into()),
            repository: Some("u".into()),
            listen: Some("127.0.0.1:0".parse().unwrap()),
            ..Overrides::default()
        };
        assert_eq!(Config::read(None, overrides).unwrap().listen.port(), 0);
        let error = Config::read(None, Overrides::default()).unwrap_err().to_string();
        assert!(error.contains("--config"), "{error}");
    }

    const GROUP: &str = "data: /var/lib/${name}\nrepository: {url: u}\npeers:\n\
        - {name: a, node: 1, peer: '127.0.0.1:7481', api: 'http://127.0.0.1:7480'}\n\
        - {name: b, node: 7, peer: 'b.example.org:7481', api: 'https://b.example.org:7480/'}\n";

    #[test]
    fn one_file_serves_every_lead_of_a_group() {
        let named = |name: &str| Overrides { name: Some(name.into()), ..Overrides::default() };
        let a = read(GROUP, named("a")).unwrap();
        assert_eq!(
            (a.node, a.data.to_str(), a.listen.to_string()),
            (1, Some("/var/lib/a"), "127.0.0.1:7480".into())
        );
        assert_eq!(a.group().unwrap().listen.to_string(), "127.0.0.1:7481");
        let b = read(GROUP, named("b")).unwrap();
        assert_eq!(
            (b.node, b.data.to_str(), b.listen.to_string()),
            (7, Some("/var/lib/b"), "0.0.0.0:7480".into())
        );
        assert_eq!(b.group().unwrap().peers, a.group().unwrap().peers);
        assert!(matches!(read(GROUP, named("c")), Err(Error::NotAPeer(name)) if name == "c"));
        let twice = read(&format!("node: 2\n{GROUP}"), named("a"));
        assert!(matches!(twice, Err(Error::TwoNodes { node: 2, peer: 1, .. })), "{twice:?}");
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        let error =
            read("data: d\nrepository: {url: u}\nlisten: nowhere\n", Overrides::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("lead.yaml") && text.contains('3'), "{text}");
        let half = read("data: d\nrepository: {url: u, sshKey: k}\n", Overrides::default());
        assert!(matches!(half, Err(Error::HalfOfSsh)));
    }
}
