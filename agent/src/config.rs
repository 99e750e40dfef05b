//! The agent's configuration: a YAML file, overridden by flags and environment.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use qonnect_agent_core::account::Accounts;
use qonnect_agent_core::allow::Allowed;
use qonnect_agent_core::prune::Limits;
use qonnect_git::signature::Signers;
use qonnect_git::{Credentials, Remote};
use qonnect_schema::units::Span;
use qonnect_schema::yaml;
use serde::Deserialize;
use url::Url;

use crate::measuring::Power;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The name of this cluster in the spec branch.
    pub cluster: String,
    /// What outlives a restart: the copy of the release, its mark, the clone.
    pub data: PathBuf,
    pub repository: Repository,
    /// Any of the leads; the agent stays with the first that answers. Without leads it only polls.
    #[serde(default)]
    pub leads: Vec<Url>,
    /// PEM: who signs the certificates of the leads, where the system does not know.
    #[serde(default)]
    pub authority: Option<PathBuf>,
    /// PEM: the certificate that names this cluster to the leads, and its key; taken anew when they change.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// Holds the token that names this cluster to the leads; read anew for each request.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Absent inside a pod: the service account is used.
    #[serde(default)]
    pub kubeconfig: Option<PathBuf>,
    #[serde(default)]
    pub context: Option<String>,
    /// How often to look into the repository while no lead answers.
    #[serde(default = "poll")]
    pub poll: Span,
    #[serde(default)]
    pub prune: Limits,
    /// What may be touched at all, whatever a release says.
    #[serde(default)]
    pub allow: Allowed,
    /// As whom the objects of applications are written, instead of as the agent itself.
    #[serde(default)]
    pub impersonate: Accounts,
    /// What is measured beside what Kubernetes' objects tell.
    #[serde(default)]
    pub measure: Measure,
    /// Where to answer /healthz and /readyz; absent: nowhere.
    #[serde(default)]
    pub probes: Option<SocketAddr>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Measure {
    /// About how often.
    pub every: Span,
    /// Whether round trips to other clusters are measured, at the addresses that the leads name: connections that not
    /// every network wants.
    pub round_trips: bool,
    /// Where power is asked for; absent: nowhere.
    pub power: Option<Power>,
}

impl Default for Measure {
    fn default() -> Self {
        Self { every: Span::from_secs(60), round_trips: false, power: None }
    }
}

/// Where releases come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Repository {
    pub url: String,
    #[serde(default = "branch")]
    pub branch: String,
    /// For https: holds the token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// For ssh: the private key and the known hosts.
    #[serde(default)]
    pub ssh_key: Option<PathBuf>,
    #[serde(default)]
    pub known_hosts: Option<PathBuf>,
    /// For https: who vouches for the host, as PEM, besides those that this machine trusts.
    #[serde(default)]
    pub authority: Option<PathBuf>,
    /// Whose commits of the deploy branch count; absent: those of everybody who may push.
    #[serde(default)]
    pub signers: Option<Signers>,
}

fn poll() -> Span {
    Span::from_secs(60)
}

fn branch() -> String {
    "qonnect/deploy".into()
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: cannot be read")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: {why}")]
    Parse { path: PathBuf, why: String },
    #[error("{path}: {field}: {why}")]
    Field { path: PathBuf, field: &'static str, why: String },
}

/// What the command line and the environment say instead of the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub data: Option<PathBuf>,
    pub repository: Option<String>,
    pub leads: Vec<Url>,
    pub kubeconfig: Option<PathBuf>,
}

/// Relative paths in the file count from its folder.
pub fn load(path: &Path, overrides: Overrides) -> Result<Config, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })?;
    let mut config: Config =
        yaml::from_str(&text).map_err(|error| Error::Parse { path: path.into(), why: error.to_string() })?;
    let folder = path.parent().unwrap_or(Path::new("."));
    config.for_each_path(|place| *place = folder.join(&*place));
    if let Some(data) = overrides.data {
        config.data = data;
    }
    if let Some(url) = overrides.repository {
        config.repository.url = url;
    }
    if !overrides.leads.is_empty() {
        config.leads = overrides.leads;
    }
    if overrides.kubeconfig.is_some() {
        config.kubeconfig = overrides.kubeconfig;
    }
    config.check().map_err(|(field, why)| Error::Field { path: path.into(), field, why })?;
    Ok(config)
}

impl Config {
    fn for_each_path(&mut self, mut change: impl FnMut(&mut PathBuf)) {
        change(&mut self.data);
        let repository = &mut self.repository;
        let power = self.measure.power.iter_mut();
        let power = power.flat_map(|power| [&mut power.token_file, &mut power.authority]);
        let files = [
            &mut self.authority,
            &mut self.certificate,
            &mut self.key,
            &mut self.token_file,
            &mut self.kubeconfig,
            &mut repository.token_file,
            &mut repository.ssh_key,
            &mut repository.known_hosts,
            &mut repository.authority,
        ];
        let signers = repository.signers.iter_mut();
        let signers =
            signers.flat_map(|signers| std::iter::once(&mut signers.allowed).chain(&mut signers.revoked));
        files.into_iter().chain(power).flatten().chain(signers).for_each(change);
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.cluster.is_empty() || !self.cluster.chars().all(label) {
            return Err(("cluster", format!("`{}` is no name of a cluster: a-z, 0-9 and -", self.cluster)));
        }
        if self.repository.token_file.is_some() && self.repository.ssh_key.is_some() {
            return Err(("repository", "tokenFile is for https and sshKey for ssh; leave one out".into()));
        }
        if self.repository.ssh_key.is_some() != self.repository.known_hosts.is_some() {
            return Err(("repository", "sshKey and knownHosts go together".into()));
        }
        if self.certificate.is_some() != self.key.is_some() {
            return Err(("certificate", "certificate and key go together".into()));
        }
        let accounts = self.impersonate.applications.values().map(|account| &account.service_account_name);
        let mut accounts = accounts.chain(&self.impersonate.service_account_name);
        let dotted = |c: char| label(c) || c == '.';
        if let Some(name) = accounts.find(|name| name.is_empty() || !name.chars().all(dotted)) {
            return Err((
                "impersonate",
                format!("`{name}` is no name of a service account: a-z, 0-9, - and ."),
            ));
        }
        if let Some(power) = &self.measure.power
            && !is_safe(&power.url, power.token_file.is_some())
        {
            let why = format!("{}: a token is sent over https only, except on loopback", power.url);
            return Err(("measure", why));
        }
        // Less would measure the measuring.
        if self.measure.every < Span::from_secs(1) {
            return Err(("measure", "every is at least 1s".into()));
        }
        if let Some(lead) = self.leads.iter().find(|lead| !is_safe(lead, self.token_file.is_some())) {
            let why = format!("{lead}: a token is sent over https only, except on loopback");
            return Err(("leads", why));
        }
        Ok(())
    }

    pub fn remote(&self) -> Remote {
        let Repository { url, token_file, ssh_key, known_hosts, authority, .. } = &self.repository;
        let credentials = match (token_file, ssh_key, known_hosts) {
            (Some(file), ..) => Credentials::Token { file: file.clone() },
            (None, Some(key), Some(hosts)) => {
                Credentials::SshKey { key: key.clone(), known_hosts: hosts.clone() }
            }
            _ => Credentials::None,
        };
        Remote { url: url.clone(), credentials, authority: authority.clone() }
    }
}

fn is_safe(lead: &Url, token: bool) -> bool {
    let loopback = match lead.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    !token || loopback || lead.scheme() == "https"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.yaml");
        std::fs::write(&path, text).unwrap();
        load(&path, Overrides::default())
    }

    #[test]
    fn a_short_file_is_enough() {
        let config = read("cluster: fog\ndata: /var/lib/x\nrepository: {url: 'https://git/x'}\n").unwrap();
        assert_eq!(config.repository.branch, "qonnect/deploy");
        assert_eq!(config.poll, Span::from_secs(60));
        assert_eq!(config.prune, Limits::default());
    }

    #[test]
    fn errors_name_the_file_and_the_field() {
        for (text, wanted) in [
            ("cluster: fog\ndata: x\nrepository: {url: a}\nfoo: 1\n", "foo"),
            ("cluster: Fog_1\ndata: x\nrepository: {url: a}\n", "cluster: `Fog_1`"),
            (
                "cluster: fog\ndata: x\nrepository: {url: a, tokenFile: a, sshKey: b}\n",
                "repository: tokenFile",
            ),
            (
                "cluster: fog\ndata: x\nrepository: {url: a}\nimpersonate: {serviceAccountName: 'a b'}\n",
                "impersonate: `a b`",
            ),
            (
                "cluster: fog\ndata: x\nrepository: {url: a}\nleads: ['http://10.0.0.1']\ntokenFile: t\n",
                "leads: http://10.0.0.1",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("agent.yaml") && error.contains(wanted), "{error}");
        }
    }
}
