//! One line of a file of allowed signers, as ssh-keygen(1) describes it.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

/// Who may sign with a key, what, and when.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Allowed {
    pub(super) principal: String,
    pub(super) key: KeyData,
    pub(super) from: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    /// Absent: all.
    namespaces: Option<String>,
}

impl Allowed {
    /// `PRINCIPALS [OPTIONS] KEYTYPE KEY [COMMENT]`.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let (principal, rest) = word(line);
        let (options, key) = match PublicKey::from_openssh(rest) {
            Ok(key) => ("", Ok(key)),
            Err(_) => {
                let (options, rest) = word(rest);
                (options, PublicKey::from_openssh(rest))
            }
        };
        let key = key.map_err(|_| "expected PRINCIPALS [OPTIONS] KEYTYPE KEY".to_owned())?;
        let principal = principal.trim_matches('"').to_owned();
        let mut allowed =
            Self { principal, key: key.key_data().clone(), from: None, until: None, namespaces: None };
        for option in split(options, ',').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let value = value.trim_matches('"');
            match name.to_ascii_lowercase().as_str() {
                "namespaces" => allowed.namespaces = Some(value.into()),
                "valid-after" => allowed.from = Some(moment(value)?),
                "valid-before" => allowed.until = Some(moment(value)?),
                "cert-authority" => {
                    return Err(
                        "authorities of certificates are not supported; list the keys themselves".into()
                    );
                }
                _ => return Err(format!("`{name}` is no option of a signer")),
            }
        }
        Ok(allowed)
    }

    pub(super) fn signs(&self, namespace: &str) -> bool {
        let Some(patterns) = &self.namespaces else { return true };
        let mut signs = false;
        for pattern in patterns.split(',') {
            match pattern.strip_prefix('!') {
                Some(except) if fits(except.as_bytes(), namespace.as_bytes()) => return false,
                Some(_) => {}
                None => signs |= fits(pattern.as_bytes(), namespace.as_bytes()),
            }
        }
        signs
    }
}

/// The first word of a line, and the line behind it.
fn word(line: &str) -> (&str, &str) {
    let line = line.trim_start();
    let first = split(line, ' ').next().unwrap_or_default();
    (first, line[first.len()..].trim_start())
}

/// Quoted parts are not split; a tab separates as a blank does.
fn split(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c: char| {
        quoted ^= c == '"';
        !quoted && (c == at || (at == ' ' && c == '\t'))
    })
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, always in UTC: a verdict must not depend on where it is given.
fn moment(text: &str) -> Result<Timestamp, String> {
    let digits = text.strip_suffix('Z').unwrap_or(text);
    let wrong = || format!("`{text}` is no time: expected YYYYMMDD[HHMM[SS]], which is taken as UTC");
    if !matches!(digits.len(), 8 | 12 | 14) {
        return Err(wrong());
    }
    let time = DateTime::strptime("%Y%m%d%H%M%S", format!("{digits:0<14}")).map_err(|_| wrong())?;
    let time = time.to_zoned(TimeZone::UTC).map_err(|_| wrong())?;
    Ok(time.timestamp())
}

/// `*` stands for any number of characters, `?` for one.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            fits(rest, text) || text.split_first().is_some_and(|(_, text)| fits(pattern, text))
        }
        (Some((b'?', pattern)), Some((_, text))) => fits(pattern, text),
        (Some((wanted, pattern)), Some((found, text))) => wanted == found && fits(pattern, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn parse(line: &str) -> Allowed {
        Allowed::parse(line).unwrap_or_else(|why| panic!("{line}: {why}"))
    }

    #[test]
    fn lines_are_read_as_ssh_keygen_describes_them() {
        for (line, principal) in [
            (format!("ann@example.org {KEY}"), "ann@example.org"),
            (
                format!("ann@example.org,*@ops.example.org  {KEY} a comment"),
                "ann@example.org,*@ops.example.org",
            ),
            (format!("\"Ann Example\"\tnamespaces=\"git\" {KEY}"), "Ann Example"),
        ] {
            let allowed = parse(&line);
            assert_eq!((allowed.principal.as_str(), allowed.signs("git")), (principal, true), "{line}");
        }
        let limits =
            format!("ann VALID-AFTER=\"20260102\",namespaces=\"file,git\",valid-before=202601031415Z {KEY}");
        let limited = parse(&limits);
        assert_eq!(limited.from, Some("2026-01-02T00:00:00Z".parse().unwrap()));
        assert_eq!(limited.until, Some("2026-01-03T14:15:00Z".parse().unwrap()));
    }

    #[test]
    fn namespaces_are_patterns_of_which_an_exception_wins() {
        for (patterns, signs) in [
            ("git", true),
            ("file", false),
            ("file,g*", true),
            ("g?t", true),
            ("*,!git", false),
            ("!git,*", false),
        ] {
            assert_eq!(
                parse(&format!("ann namespaces=\"{patterns}\" {KEY}")).signs("git"),
                signs,
                "{patterns}"
            );
        }
    }

    #[test]
    fn what_cannot_be_understood_is_never_passed_over() {
        for (line, why) in [
            (format!("* cert-authority {KEY}"), "authorities"),
            (format!("ann valid-after=\"tomorrow\" {KEY}"), "tomorrow"),
            (format!("ann valid-before=\"20261399\" {KEY}"), "20261399"),
            (format!("ann no-touch {KEY}"), "no-touch"),
            ("ann ssh-ed25519 AAAA".to_owned(), "expected PRINCIPALS"),
            (KEY.to_owned(), "expected PRINCIPALS"),
        ] {
            let refused = Allowed::parse(&line).map(drop).unwrap_err();
            assert!(refused.contains(why), "{line}: {refused}");
        }
    }
}
