//! Where a repository is, and what lets us in.

use std::fmt;
use std::path::PathBuf;

use tokio::sync::watch;
use url::Url;

use crate::Error;
use crate::deadline::Deadline;

/// The name that GitHub asks for with tokens; other hosts accept any.
const TOKEN_USER: &str = "x-access-token";

#[derive(Debug, Clone)]
pub struct Remote {
    /// `https://`, `http://`, `ssh://`, `git@host:path`, `git://`, `file://`, or a path on this disk.
    pub url: String,
    pub credentials: Credentials,
    /// PEM: who vouches for an https host, besides those that this machine trusts.
    pub authority: Option<PathBuf>,
}

impl Remote {
    pub fn new(url: impl Into<String>, credentials: Credentials) -> Self {
        Self { url: url.into(), credentials, authority: None }
    }
}

/// Secrets stay in their files, which are read anew for each exchange: a renewed token needs no restart.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    #[default]
    None,
    /// A token of a git host, sent as the password of HTTP's basic authentication.
    Token { file: PathBuf },
    /// A token that somebody renews all the time.
    Lent(Lent),
    /// A user, and the file with the password.
    Basic { user: String, file: PathBuf },
    /// A private key, and the file that pins the keys of the hosts that may be spoken to.
    SshKey { key: PathBuf, known_hosts: PathBuf },
}

/// Tokens of a git host that do not last: the newest counts, and the first one is waited for.
#[derive(Clone)]
pub struct Lent(watch::Receiver<Option<String>>);

impl Lent {
    /// With the hand that renews it.
    pub fn new() -> (watch::Sender<Option<String>>, Self) {
        let (sender, receiver) = watch::channel(None);
        (sender, Self(receiver))
    }

    fn token(&self, deadline: &Deadline) -> Result<String, Error> {
        let mut tokens = self.0.clone();
        let there = deadline.wait(async { tokens.wait_for(Option::is_some).await.ok()?.clone() });
        let missing = || Error::Auth { detail: "no token was given to the app yet".into() };
        match there {
            Ok(token) => token.ok_or_else(missing),
            Err(Error::Deadline { .. }) => Err(missing()),
            Err(ended) => Err(ended),
        }
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lent")
    }
}

impl Credentials {
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// User and password for HTTP.
    pub(crate) fn basic(&self, deadline: &Deadline) -> Result<Option<(&str, String)>, Error> {
        let (user, file) = match self {
            Self::None | Self::SshKey { .. } => return Ok(None),
            Self::Lent(lent) => return Ok(Some((TOKEN_USER, lent.token(deadline)?))),
            Self::Token { file } => (TOKEN_USER, file),
            Self::Basic { user, file } => (user.as_str(), file),
        };
        let secret =
            std::fs::read_to_string(file).map_err(|source| Error::File { path: file.clone(), source })?;
        Ok(Some((user, secret.trim_end().to_owned())))
    }
}

/// A URL, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Http(Url),
    Ssh(SshPlace),
    Git { host: String, port: u16, path: String },
    Local(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SshPlace {
    /// `user@host` or `host`.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) path: String,
}

impl Place {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        // The text may hold a password, so messages show it only where that is excluded.
        let bad = |why: &str| Error::Url { url: without_user(text), why: why.to_owned() };
        if text.is_empty() {
            return Err(bad("it is empty"));
        }
        if !text.contains("://") {
            return match text.split_once(':') {
                Some((host, path)) if !host.contains('/') => SshPlace::new(host, None, path).map(Self::Ssh),
                _ => Ok(Self::Local(text.into())),
            };
        }
        let url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
        if url.password().is_some() {
            return Err(bad("a password does not belong into a URL; put it into a file and name that"));
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        match url.scheme() {
            "http" | "https" if !url.username().is_empty() => {
                Err(bad("a user or token does not belong into a URL; put it into a file and name that"))
            }
            "http" | "https" if url.query().is_some() || url.fragment().is_some() => {
                Err(bad("it has a query or a fragment"))
            }
            "http" | "https" => Ok(Self::Http(url)),
            "ssh" => {
                let host =
                    if url.username().is_empty() { host } else { format!("{}@{host}", url.username()) };
                SshPlace::new(&host, url.port(), url.path()).map(Self::Ssh)
            }
            "git" => {
                let path = safe_path(url.path())?.to_owned();
                Ok(Self::Git { host, port: url.port().unwrap_or(9418), path })
            }
            "file" => {
                url.to_file_path().map(Self::Local).map_err(|()| bad("it names no path of this machine"))
            }
            _ => Err(bad("its scheme is none of https, http, ssh, git, file")),
        }
    }
}

impl SshPlace {
    /// The host must not look like an option of ssh, nor the path like anything to a shell on the other side.
    fn new(host: &str, port: Option<u16>, path: &str) -> Result<Self, Error> {
        let name = host.rsplit('@').next().unwrap_or_default();
        let sound = |part: &str| {
            !part.is_empty()
                && !part.starts_with('-')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-:[]".contains(c))
        };
        let user = host.strip_suffix(name).and_then(|user| user.strip_suffix('@'));
        if !sound(name) || user.is_some_and(|user| !sound(user)) {
            return Err(Error::Url {
                url: host.to_owned(),
                why: "its user or host has odd characters".into(),
            });
        }
        // `ssh` wants the address of IPv6 without its brackets.
        let host = host.replace(['[', ']'], "");
        Ok(Self { host, port, path: safe_path(path)?.to_owned() })
    }
}

fn safe_path(path: &str) -> Result<&str, Error> {
    let sound = |c: char| c.is_ascii_alphanumeric() || "/._-~+@".contains(c);
    if path.is_empty() || path.starts_with('-') || !path.chars().all(sound) {
        let why = "its path may hold only letters, digits and /._-~+@".to_owned();
        return Err(Error::Url { url: path.to_owned(), why });
    }
    Ok(path)
}

fn without_user(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}…{}", &text[..scheme + 3], &text[at..]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        Place::parse(url).expect_err(url).to_string()
    }

    #[test]
    fn the_usual_urls_are_understood() {
        let ssh = |host: &str, port, path: &str| {
            Place::Ssh(SshPlace { host: host.into(), port, path: path.into() })
        };
        for (url, place) in [
            ("git@github.com:org/fleet.git", ssh("git@github.com", None, "org/fleet.git")),
            ("ssh://git@[::1]:2222/srv/fleet.git", ssh("git@::1", Some(2222), "/srv/fleet.git")),
            (
                "git://host/fleet.git",
                Place::Git { host: "host".into(), port: 9418, path: "/fleet.git".into() },
            ),
            ("file:///srv/fleet.git", Place::Local("/srv/fleet.git".into())),
            ("../fleet.git", Place::Local("../fleet.git".into())),
            ("https://host/fleet", Place::Http("https://host/fleet".parse().unwrap())),
        ] {
            assert_eq!(Place::parse(url).unwrap(), place, "{url}");
        }
    }

    #[test]
    fn nothing_in_a_url_reaches_ssh_as_an_option_or_a_shell() {
        for url in [
            "ssh://-oProxyCommand=touch/x",
            "-oProxyCommand=x:y",
            "ssh://host/a'b",
            "ssh://host/$(id)",
            "host:a;b",
            "a b@host:x",
            "host:-x",
        ] {
            assert!(matches!(Place::parse(url), Err(Error::Url { .. })), "{url}");
        }
    }

    #[test]
    fn a_secret_in_a_url_is_refused_and_not_repeated() {
        for url in ["https://user:hunter2@host/x", "https://hunter2@host/x", "ssh://a:hunter2@host/x"] {
            let refusal = refusal(url);
            assert!(refusal.contains("file") && !refusal.contains("hunter2"), "{refusal}");
        }
    }
}
