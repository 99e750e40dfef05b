//! A small authority of one's own, for development and for fleets without a better one.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::CryptoProvider;

use super::names;

/// Names the authority in every certificate that it signs.
const AUTHORITY: &str = "QONNECT development authority";

/// Who gets a certificate.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The name of its files.
    pub(crate) file: String,
    /// The names in the certificate.
    pub(crate) names: Vec<String>,
    /// The identity that a token stands for; leads have none.
    pub(crate) identity: Option<String>,
}

impl Wanted {
    pub(crate) fn lead(name: &str, hosts: &[String]) -> Self {
        let mut names = vec![names::of_lead(name)];
        names.extend(hosts.iter().cloned());
        Self { file: name.into(), names, identity: None }
    }

    pub(crate) fn cluster(name: &str) -> Self {
        let identity = Some(format!("cluster/{name}"));
        Self { file: format!("cluster-{name}"), names: vec![names::of_cluster(name)], identity }
    }

    pub(crate) fn role(role: &str) -> Self {
        Self { file: role.into(), names: vec![names::of_role(role)], identity: Some(role.into()) }
    }
}

/// Writes what is not there yet, and returns the files that it wrote. `days` from today is how long certificates
/// are good.
pub(crate) fn issue(
    folder: &Path,
    wanted: &[Wanted],
    days: i64,
    tokens: bool,
) -> anyhow::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut written = Vec::new();
    let authority = authority(folder, days, &mut written)?;
    for one in wanted {
        let certificate = folder.join(format!("{}.pem", one.file));
        if !certificate.exists() {
            let key = KeyPair::generate().context("cannot make a key")?;
            let signed = leaf(one, days)?.signed_by(&key, &authority).context("cannot sign")?;
            let key_file = folder.join(format!("{}.key", one.file));
            write(&key_file, &key.serialize_pem(), true, &mut written)?;
            write(&certificate, &signed.pem(), false, &mut written)?;
        }
    }
    if tokens {
        issue_tokens(folder, wanted, &mut written)?;
    }
    Ok(written)
}

fn authority(
    folder: &Path,
    days: i64,
    written: &mut Vec<PathBuf>,
) -> anyhow::Result<Issuer<'static, KeyPair>> {
    let (certificate, key_file) = (folder.join("ca.pem"), folder.join("ca.key"));
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, AUTHORITY);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for(&mut params, days)?;
    if certificate.exists() {
        let text = fs::read_to_string(&key_file).with_context(|| {
            format!(
                "{} is there, but {} cannot be read: bring the key, or choose an empty folder",
                certificate.display(),
                key_file.display()
            )
        })?;
        let key =
            KeyPair::from_pem(&text).with_context(|| format!("{} is no key of ours", key_file.display()))?;
        return Ok(Issuer::new(params, key));
    }
    let key = KeyPair::generate().context("cannot make a key")?;
    let signed = params.self_signed(&key).context("cannot sign")?;
    write(&key_file, &key.serialize_pem(), true, written)?;
    write(&certificate, &signed.pem(), false, written)?;
    Ok(Issuer::new(params, key))
}

fn leaf(wanted: &Wanted, days: i64) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(wanted.names.clone())
        .with_context(|| format!("{:?} cannot stand in a certificate", wanted.names))?;
    params.distinguished_name.push(DnType::CommonName, wanted.file.as_str());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Leads call each other: theirs are for both sides.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if wanted.identity.is_none() {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, days)?;
    Ok(params)
}

/// From yesterday, since clocks differ.
fn valid_for(params: &mut CertificateParams, days: i64) -> anyhow::Result<()> {
    let today = jiff::Zoned::now().date();
    let day = |offset: i64| {
        let day = today.checked_add(jiff::Span::new().try_days(offset)?)?;
        anyhow::Ok(date_time_ymd(day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs()))
    };
    params.not_before = day(-1)?;
    params.not_after = day(days).context("certificates cannot be good for so long")?;
    Ok(())
}

/// The file that leads read, and one with the token alone for each who shows it.
fn issue_tokens(folder: &Path, wanted: &[Wanted], written: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let mut lines = String::from("# IDENTITY TOKEN\n");
    for one in wanted {
        let Some(identity) = &one.identity else { continue };
        let file = folder.join(format!("{}.token", one.file));
        let token = match fs::read_to_string(&file) {
            Ok(token) => token.trim().to_owned(),
            Err(_) => {
                let token = hex::encode(random()?);
                write(&file, &format!("{token}\n"), true, written)?;
                token
            }
        };
        lines.push_str(&format!("{identity} {token}\n"));
    }
    write(&folder.join("tokens"), &lines, true, written)
}

/// 256 bits: nobody guesses them.
pub(super) fn random() -> anyhow::Result<[u8; 32]> {
    let provider = CryptoProvider::get_default().context("no source of randomness is installed")?;
    let mut bytes = [0; 32];
    provider.secure_random.fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system gives no randomness"))?;
    Ok(bytes)
}

pub(super) fn write(path: &Path, text: &str, secret: bool, written: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let mode = if secret { 0o600 } else { 0o644 };
    let opened = fs::File::options().write(true).create(true).truncate(true).mode(mode).open(path);
    opened
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))?;
    written.push(path.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    #[test]
    fn certificates_name_whom_they_are_for_and_a_second_run_keeps_them() {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let folder = tempfile::tempdir().unwrap();
        let hosts = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut wanted = vec![Wanted::lead("lead-1", &hosts), Wanted::cluster("fog"), Wanted::role("admin")];
        let first = issue(folder.path(), &wanted, 30, true).unwrap();
        assert!(first.iter().any(|file| file.ends_with("ca.pem")), "{first:?}");
        let read = |name: &str| {
            let der = CertificateDer::from_pem_file(folder.path().join(name)).unwrap();
            (names::read(&der), names::is_lead(&der, "lead-1"))
        };
        assert_eq!(read("lead-1.pem"), (vec!["lead-1.lead".into()], true));
        assert_eq!(read("cluster-fog.pem"), (vec!["fog.cluster".into()], false));
        assert_eq!(read("admin.pem"), (vec!["admin".into()], false));
        let tokens = fs::read_to_string(folder.path().join("tokens")).unwrap();
        assert!(tokens.contains("\ncluster/fog ") && tokens.contains("\nadmin "), "{tokens}");

        let kept = fs::read(folder.path().join("lead-1.pem")).unwrap();
        wanted.push(Wanted::cluster("edge"));
        let second = issue(folder.path(), &wanted, 30, true).unwrap();
        assert!(second.iter().any(|file| file.ends_with("cluster-edge.pem")), "{second:?}");
        assert!(!second.iter().any(|file| file.ends_with("ca.key")), "{second:?}");
        assert_eq!(fs::read(folder.path().join("lead-1.pem")).unwrap(), kept);
        assert!(fs::read_to_string(folder.path().join("tokens")).unwrap().starts_with(&tokens));
    }
}
