//! The configuration of a lead: a YAML file, which flags and the environment override.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use qonnect_git::{Credentials, Remote};
use qonnect_schema::units::Span;
use qonnect_schema::yaml;
use serde::{Deserialize, Serialize};

use crate::api::Tls;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    #[serde(default = "name")]
    pub name: String,
    /// The number of this lead among the leads; it never changes.
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
}

/// What the command line and the environment say instead.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
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
}

impl Config {
    /// Reads a file, if there is one, and lets the overrides win.
    pub fn read(path: Option<&Path>, overrides: Overrides) -> Result<Self, Error> {
        let mut config = match path {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| Error::Read { path: path.to_owned(), source })?;
                yaml::from_str(&text).map_err(|source| Error::Parse { path: path.to_owned(), source })?
            }
            None => Self::without_file(&overrides)?,
        };
        let Overrides { data, listen, repository, branch } = overrides;
        config.data = data.unwrap_or(config.data);
        config.listen = listen.unwrap_or(config.listen);
        config.repository.url = repository.unwrap_or(config.repository.url);
        config.repository.branch = branch.unwrap_or(config.repository.branch);
        config.check()?;
        Ok(config)
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
        };
        Self { name: name(), node: node(), data, listen: listen(), repository, tls: None, tokens: None }
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

    pub(super) fn remote(&self) -> Remote {
        let Repository { url, token_file, ssh_key, known_hosts, .. } = &self.repository;
        let credentials = match (token_file.clone(), ssh_key.clone().zip(known_hosts.clone())) {
            (Some(file), _) => Credentials::Token { file },
            (None, Some((key, known_hosts))) => Credentials::SshKey { key, known_hosts },
            (None, None) => Credentials::None,
        };
        Remote { url: url.clone(), credentials }
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
            branch: None,
        };
        assert_eq!(Config::read(None, overrides).unwrap().listen.port(), 0);
        let error = Config::read(None, Overrides::default()).unwrap_err().to_string();
        assert!(error.contains("--config"), "{error}");
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
