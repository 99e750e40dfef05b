//! Whom a certificate names: DNS names below a domain that nobody can register.
//!
//! | name | whom |
//! |---|---|
//! | `NAME.lead.qonnect.internal` | a lead, towards the other leads |
//! | `NAME.cluster.qonnect.internal` | the agent of a cluster |
//! | `reader`, `hook`, `admin`, each with `.qonnect.internal` | who may what: see `api/access.rs` |

use rustls::pki_types::CertificateDer;

const DOMAIN: &str = ".qonnect.internal";

pub(crate) fn of_lead(name: &str) -> String {
    format!("{name}.lead{DOMAIN}")
}

pub(crate) fn of_cluster(name: &str) -> String {
    format!("{name}.cluster{DOMAIN}")
}

pub(crate) fn of_role(role: &str) -> String {
    format!("{role}{DOMAIN}")
}

/// What stands before the domain, of each name in a certificate that was verified: `fog-1.cluster`, `reader`.
pub(crate) fn read(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else { return Vec::new() };
    let ours = certificate.valid_dns_names().filter_map(|name| name.strip_suffix(DOMAIN));
    ours.map(str::to_owned).collect()
}

/// Whether a certificate names this lead.
pub(crate) fn is_lead(certificate: &CertificateDer<'_>, name: &str) -> bool {
    read(certificate).iter().any(|read| read.strip_suffix(".lead") == Some(name))
}
