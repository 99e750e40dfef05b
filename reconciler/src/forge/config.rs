//! Which forge shows what people are asked, and what lets the leads in.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// `forge` in the configuration of a lead; without it people are asked by Git alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Config {
    Github(Github),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Github {
    /// `OWNER/NAME`; absent: as the URL of the repository ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Of GitHub Enterprise: `https://HOST/api/v3`.
    #[serde(default = "api")]
    pub api: Url,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<App>,
}

/// A GitHub App that is installed for the repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct App {
    pub id: u64,
    /// Its private key, as GitHub gives it out.
    pub key_file: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`forge.github` needs either `tokenFile` or `app`: the one of them that lets the leads in")]
    Credentials,
    #[error("`forge.github.api` is {0}: credentials go over https only, unless the host is loopback")]
    Insecure(Url),
    #[error("`{0}` is no repository of GitHub: say `forge.github.repository: OWNER/NAME`")]
    Repository(String),
}

impl Config {
    /// With the name of the repository whose URL this is, unless it says another one.
    pub fn complete(&mut self, url: &str) -> Result<(), Error> {
        let Self::Github(github) = self;
        if github.token_file.is_some() == github.app.is_some() {
            return Err(Error::Credentials);
        }
        if github.api.scheme() != "https" && !is_loopback(&github.api) {
            return Err(Error::Insecure(github.api.clone()));
        }
        let given = github.repository.clone().unwrap_or_else(|| url.into());
        github.repository = Some(full_name(&given).ok_or(Error::Repository(given))?);
        Ok(())
    }

    /// Whether its tokens open the repository of this URL too: an app's do, on its own host and nowhere else.
    pub(crate) fn opens(&self, url: &str) -> bool {
        let Self::Github(Github { app, api, .. }) = self;
        let Ok(url) = Url::parse(url) else { return false };
        let (Some(api), Some(host)) = (api.host_str(), url.host_str()) else { return false };
        app.is_some()
            && url.scheme().starts_with("http")
            && (api == host || api.strip_prefix("api.") == Some(host))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// `OWNER/NAME`: how the URLs of a repository over https and ssh end.
pub(crate) fn full_name(url: &str) -> Option<String> {
    let path = url.trim_end_matches('/').trim_end_matches(".git");
    let mut names = path.rsplit(['/', ':']);
    let (name, owner) = (names.next()?, names.next()?);
    let fits = |name: &str| {
        !name.is_empty() && name.chars().all(|one| one.is_ascii_alphanumeric() || "-_.".contains(one))
    };
    (fits(name) && fits(owner)).then(|| format!("{owner}/{name}"))
}

fn api() -> Url {
    Url::parse("https://api.github.com").expect("it is a URL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_one_repository_have_one_name() {
        for url in [
            "https://github.com/octo/fleet.git",
            "https://github.com/octo/fleet/",
            "git@github.com:octo/fleet.git",
            "ssh://git@ssh.github.com:443/octo/fleet",
            "octo/fleet",
        ] {
            assert_eq!(full_name(url).as_deref(), Some("octo/fleet"), "{url}");
        }
        assert_eq!(full_name("fleet.git"), None);
        assert_eq!(full_name("https://host/octo/fl eet"), None);
    }

    #[test]
    fn the_tokens_of_an_app_go_to_its_own_host_only() {
        let opens = |credential: &str, api: &str, url: &str| {
            let config: Config =
                qonnect_schema::yaml::from_str(&format!("github: {{{credential}{api}}}")).unwrap();
            config.opens(url)
        };
        let (app, enterprise) = ("app: {id: 1, keyFile: k}", ", api: 'https://ghe.example.org/api/v3'");
        assert!(opens(app, "", "https://github.com/octo/fleet.git"));
        assert!(opens(app, enterprise, "https://ghe.example.org/octo/fleet.git"));
        for (credential, api, url) in [
            ("tokenFile: t", "", "https://github.com/octo/fleet.git"),
            (app, "", "https://git.example.org/octo/fleet.git"),
            (app, enterprise, "https://github.com/octo/fleet.git"),
            (app, "", "git@github.com:octo/fleet.git"),
            (app, "", "ssh://git@github.com/octo/fleet.git"),
        ] {
            assert!(!opens(credential, api, url), "{credential}{api} {url}");
        }
    }

    #[test]
    fn one_credential_and_no_open_line() {
        let github = |text: &str| {
            let mut config: Config = qonnect_schema::yaml::from_str(text).unwrap();
            config.complete("https://github.com/octo/fleet.git").map(|()| config)
        };
        let Config::Github(known) = github("github: {tokenFile: t}").unwrap();
        assert_eq!(
            (known.repository.as_deref(), known.api.as_str()),
            (Some("octo/fleet"), "https://api.github.com/")
        );
        assert!(matches!(github("github: {}"), Err(Error::Credentials)));
        let both = github("github: {tokenFile: t, app: {id: 1, keyFile: k}}");
        assert!(matches!(both, Err(Error::Credentials)));
        assert!(matches!(
            github("github: {tokenFile: t, api: 'http://ghe.example.org/api/v3'}"),
            Err(Error::Insecure(_))
        ));
        assert!(github("github: {tokenFile: t, api: 'http://127.0.0.1:1/api/v3'}").is_ok());
    }
}
